// The dispatch table of a service, and the gRPC services of its wire.
#include "tools/protoc-gen-capbroker/printing.h"

namespace capbroker::codegen {
namespace {

using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;
using google::protobuf::io::Printer;

void PrintServiceDeclaration(const ServiceDescriptor& service, Printer* p) {
  const Variables v = ServiceVariables(service);
  p->Print(v,
           "// The dispatch table over `service`, whose methods block unless `quick`.\n"
           "std::unique_ptr<::capbroker::serving::Dispatch> Make$service$Dispatch(\n"
           "    std::unique_ptr<$service$::Service> service, bool quick);\n");
  if (AllUnary(service)) {
    p->Print(v,
             "std::unique_ptr<::capbroker::serving::Dispatch> Make$service$CallbackDispatch(\n"
             "    std::unique_ptr<$service$::CallbackService> service);\n");
  }
  p->Print(v,
           "\n"
           "template <typename Implementation>\n"
           "  requires std::derived_from<Implementation, $service$::Service>\n"
           "std::unique_ptr<::capbroker::serving::Dispatch> CapbrokerMakeDispatch(\n"
           "    std::unique_ptr<Implementation> service) {\n"
           "  if constexpr (std::derived_from<Implementation, $service$::CallbackService>) {\n");
  p->Print(v, AllUnary(service)
                  ? "    return Make$service$CallbackDispatch(std::move(service));\n"
                  : "    static_assert(!std::derived_from<Implementation, "
                    "$service$::CallbackService>,\n"
                    "        \"a service with streaming methods is synchronous\");\n");
  p->Print(v,
           "  } else {\n"
           "    return Make$service$Dispatch(std::move(service),\n"
           "        ::capbroker::serving::HasQuickHandlers<Implementation>());\n"
           "  }\n"
           "}\n"
           "\n"
           "// The descriptor of the service that `Implementation` implements.\n"
           "template <typename Implementation>\n"
           "  requires std::derived_from<Implementation, $service$::Service>\n"
           "const ::google::protobuf::ServiceDescriptor* CapbrokerDescriptor(\n"
           "    const Implementation*) {\n"
           "  return $service$Descriptor();\n"
           "}\n"
           "\n");
}

// One row for each method.
void PrintTable(const ServiceDescriptor& service, const char* invoke, const char* base,
                Printer* p) {
  for (int i = 0; i < service.method_count(); ++i) {
    const MethodDescriptor& method = *service.method(i);
    Variables v = MethodVariables(method);
    v["invoke"] = invoke;
    v["base"] = base;
    v["unary"] = KindOf(method) == Kind::kUnary ? "true" : "false";
    p->Print(
        v,
        "        {\"$path$\", ::capbroker::transport::MethodId(\"$path$\"), $index$, $unary$,\n"
        "         $request_descriptors$, $response_descriptors$,\n"
        "         [] { return static_cast<const Message*>(&$request$::default_instance()); },\n"
        "         [] { return static_cast<const Message*>(&$response$::default_instance()); "
        "},\n");
    if (KindOf(method) == Kind::kUnary) {
      p->Print(v,
               "         [](void* service, UnaryInvocation& call) {\n"
               "           $invoke$<$request$, $response$>(\n"
               "               call, [service](auto* context, auto* request, auto* response) {\n"
               "                 return static_cast<$service$::$base$*>(service)->$method$(\n"
               "                     context, request, response);\n"
               "               });\n"
               "         }},\n");
    } else {
      p->Print(v, "         nullptr},\n");
    }
  }
}

void PrintWireMethod(const MethodDescriptor& method, Printer* p) {
  const Variables v = MethodVariables(method);
  switch (KindOf(method)) {
    case Kind::kUnary:
      p->Print(
          v,
          "  ::grpc::Status $method$(::grpc::ServerContext* context, const $request$* request,\n"
          "      $response$* response) override {\n"
          "    return CheckedUnary(*gate_, $index$, context, request, response, [&] {\n"
          "      return service_->$method$(context, request, response);\n"
          "    });\n"
          "  }\n");
      break;
    case Kind::kServerStream:
      p->Print(
          v,
          "  ::grpc::ServerWriteReactor<$response$>* $method$(\n"
          "      ::grpc::CallbackServerContext* context, const $request$* request) override {\n"
          "    return new ::capbroker::serving::ForwardedServerStream<$request$, $response$>(\n"
          "        *gate_, $index$, context, *inner_, \"$path$\", request);\n"
          "  }\n");
      break;
    case Kind::kClientStream:
      p->Print(
          v,
          "  ::grpc::ServerReadReactor<$request$>* $method$(\n"
          "      ::grpc::CallbackServerContext* context, $response$* response) override {\n"
          "    return new ::capbroker::serving::ForwardedClientStream<$request$, $response$>(\n"
          "        *gate_, $index$, context, *inner_, \"$path$\", response);\n"
          "  }\n");
      break;
    case Kind::kBidi:
      p->Print(v,
               "  ::grpc::ServerBidiReactor<$request$, $response$>* $method$(\n"
               "      ::grpc::CallbackServerContext* context) override {\n"
               "    return new ::capbroker::serving::ForwardedBidi<$request$, $response$>(\n"
               "        *gate_, $index$, context, *inner_, \"$path$\");\n"
               "  }\n");
      break;
  }
}

void PrintInnerMethod(const MethodDescriptor& method, Printer* p) {
  const Variables v = MethodVariables(method);
  if (KindOf(method) == Kind::kServerStream) {
    p->Print(v,
             "  ::grpc::Status $method$(::grpc::ServerContext* context, const $request$* request,\n"
             "      ::grpc::ServerWriter<$response$>* writer) override {\n"
             "    return CheckedForwarded(*gate_, $index$, context, [&] {\n"
             "      return service_->$method$(context, request, writer);\n"
             "    });\n"
             "  }\n");
  } else if (KindOf(method) == Kind::kClientStream) {
    p->Print(v,
             "  ::grpc::Status $method$(::grpc::ServerContext* context,\n"
             "      ::grpc::ServerReader<$request$>* reader, $response$* response) override {\n"
             "    return CheckedForwarded(*gate_, $index$, context, [&] {\n"
             "      return service_->$method$(context, reader, response);\n"
             "    });\n"
             "  }\n");
  } else if (KindOf(method) == Kind::kBidi) {
    p->Print(v,
             "  ::grpc::Status $method$(::grpc::ServerContext* context,\n"
             "      ::grpc::ServerReaderWriter<$response$, $request$>* stream) override {\n"
             "    return CheckedForwarded(*gate_, $index$, context, [&] {\n"
             "      return service_->$method$(context, stream);\n"
             "    });\n"
             "  }\n");
  }
}

// The class that a wire's server is given: synchronous methods, except those that
// are forwarded.
std::string OuterBase(const ServiceDescriptor& service) {
  std::string base = service.name() + "::Service";
  for (int i = 0; i < service.method_count(); ++i) {
    if (KindOf(*service.method(i)) == Kind::kUnary) continue;
    base = service.name() + "::WithCallbackMethod_" + service.method(i)->name() + "<" + base + ">";
  }
  return base;
}

void PrintSyncWire(const ServiceDescriptor& service, Printer* p) {
  Variables v = ServiceVariables(service);
  v["base"] = OuterBase(service);
  p->Print(v,
           "class $service$Wire final : public $base$ {\n"
           " public:\n"
           "  $service$Wire($service$::Service* service, WireGate* gate,\n"
           "      const std::shared_ptr<::grpc::Channel>* inner)\n"
           "      : service_(service), gate_(gate), inner_(inner) {}\n"
           "\n");
  for (int i = 0; i < service.method_count(); ++i) PrintWireMethod(*service.method(i), p);
  p->Print(v,
           "\n"
           " private:\n"
           "  $service$::Service* const service_;\n"
           "  WireGate* const gate_;\n"
           "  [[maybe_unused]] const std::shared_ptr<::grpc::Channel>* const inner_;\n"
           "};\n"
           "\n");
  if (AllUnary(service)) return;
  p->Print(v,
           "// Behind the forwarder.\n"
           "class $service$Inner final : public $service$::Service {\n"
           " public:\n"
           "  $service$Inner($service$::Service* service, WireGate* gate)\n"
           "      : service_(service), gate_(gate) {}\n"
           "\n");
  for (int i = 0; i < service.method_count(); ++i) PrintInnerMethod(*service.method(i), p);
  p->Print(v,
           "\n"
           " private:\n"
           "  $service$::Service* const service_;\n"
           "  WireGate* const gate_;\n"
           "};\n"
           "\n");
}

void PrintCallbackWire(const ServiceDescriptor& service, Printer* p) {
  const Variables v = ServiceVariables(service);
  p->Print(v,
           "class $service$CallbackWire final : public $service$::CallbackService {\n"
           " public:\n"
           "  $service$CallbackWire($service$::CallbackService* service, WireGate* gate)\n"
           "      : service_(service), gate_(gate) {}\n"
           "\n");
  for (int i = 0; i < service.method_count(); ++i) {
    p->Print(MethodVariables(*service.method(i)),
             "  ::grpc::ServerUnaryReactor* $method$(::grpc::CallbackServerContext* context,\n"
             "      const $request$* request, $response$* response) override {\n"
             "    return CheckedUnary(*gate_, $index$, context, request, response, [&] {\n"
             "      return service_->$method$(context, request, response);\n"
             "    });\n"
             "  }\n");
  }
  p->Print(v,
           "\n"
           " private:\n"
           "  $service$::CallbackService* const service_;\n"
           "  WireGate* const gate_;\n"
           "};\n"
           "\n");
}

void PrintDispatchClass(const ServiceDescriptor& service, bool callback, Printer* p) {
  Variables v = ServiceVariables(service);
  v["base"] = callback ? "CallbackService" : "Service";
  v["class"] = service.name() + (callback ? "CallbackDispatch" : "Dispatch");
  p->Print(v,
           "class $class$ final : public Dispatch {\n"
           " public:\n"
           "  $class$(std::unique_ptr<$service$::$base$> service, bool quick)\n"
           "      : service_(std::move(service)), quick_(quick) {}\n"
           "\n"
           "  const ::google::protobuf::ServiceDescriptor* descriptor() const override {\n"
           "    return $service$Descriptor();\n"
           "  }\n"
           "  void* service() override { return service_.get(); }\n"
           "  bool quick() const override { return quick_; }\n"
           "  absl::Span<const DispatchMethod> methods() const override {\n"
           "    static constexpr DispatchMethod kMethods[] = {\n");
  PrintTable(service, callback ? "InvokeCallback" : "InvokeSync",
             callback ? "CallbackService" : "Service", p);
  p->Print(v,
           "    };\n"
           "    return kMethods;\n"
           "  }\n"
           "  WireServices MakeWire(WireGate* gate,\n"
           "      [[maybe_unused]] const std::shared_ptr<::grpc::Channel>* inner) override {\n"
           "    WireServices services;\n");
  if (callback) {
    p->Print(
        v, "    services.outer = std::make_unique<$service$CallbackWire>(service_.get(), gate);\n");
  } else {
    p->Print(
        v, "    services.outer = std::make_unique<$service$Wire>(service_.get(), gate, inner);\n");
    if (!AllUnary(service)) {
      p->Print(v, "    services.inner = std::make_unique<$service$Inner>(service_.get(), gate);\n");
    }
  }
  p->Print(v,
           "    return services;\n"
           "  }\n"
           "\n"
           " private:\n"
           "  const std::unique_ptr<$service$::$base$> service_;\n"
           "  const bool quick_;\n"
           "};\n"
           "\n");
}

void PrintServiceDefinition(const ServiceDescriptor& service, Printer* p) {
  const Variables v = ServiceVariables(service);
  p->Print(v, "namespace {\n\n");
  PrintSyncWire(service, p);
  PrintDispatchClass(service, false, p);
  if (AllUnary(service)) {
    PrintCallbackWire(service, p);
    PrintDispatchClass(service, true, p);
  }
  p->Print(v,
           "}  // namespace\n"
           "\n"
           "std::unique_ptr<::capbroker::serving::Dispatch> Make$service$Dispatch(\n"
           "    std::unique_ptr<$service$::Service> service, bool quick) {\n"
           "  return std::make_unique<$service$Dispatch>(std::move(service), quick);\n"
           "}\n"
           "\n");
  if (AllUnary(service)) {
    p->Print(v,
             "std::unique_ptr<::capbroker::serving::Dispatch> Make$service$CallbackDispatch(\n"
             "    std::unique_ptr<$service$::CallbackService> service) {\n"
             "  return std::make_unique<$service$CallbackDispatch>(std::move(service), true);\n"
             "}\n"
             "\n");
  }
}

}  // namespace

void PrintDispatchHeader(const FileDescriptor& file, Printer* p) {
  const Variables v = FileVariables(file);
  p->Print(v,
           "// Generated by protoc-gen-capbroker from $file$. DO NOT EDIT.\n"
           "#ifndef $guard$_DISPATCH_H_\n"
           "#define $guard$_DISPATCH_H_\n"
           "\n"
           "#include <concepts>\n"
           "#include <memory>\n"
           "#include <utility>\n"
           "\n"
           "#include \"$stem$.grpc.pb.h\"\n"
           "#include \"serving/dispatch.h\"\n"
           "\n"
           "namespace $namespace$ {\n"
           "\n");
  for (int i = 0; i < file.service_count(); ++i) {
    p->Print(ServiceVariables(*file.service(i)),
             "const ::google::protobuf::ServiceDescriptor* $service$Descriptor();\n"
             "\n");
    PrintServiceDeclaration(*file.service(i), p);
  }
  p->Print(v,
           "}  // namespace $namespace$\n"
           "\n"
           "#endif  // $guard$_DISPATCH_H_\n");
}

void PrintDispatchSource(const FileDescriptor& file, Printer* p) {
  const Variables v = FileVariables(file);
  p->Print(v,
           "// Generated by protoc-gen-capbroker from $file$. DO NOT EDIT.\n"
           "#include \"$stem$.dispatch.h\"\n"
           "\n"
           "#include <google/protobuf/descriptor.h>\n"
           "\n"
           "#include \"serving/generated_dispatch.h\"\n"
           "#include \"serving/wire_forward.h\"\n"
           "\n"
           "namespace $namespace$ {\n"
           "\n"
           "using ::capbroker::serving::CheckedForwarded;\n"
           "using ::capbroker::serving::CheckedUnary;\n"
           "using ::capbroker::serving::Dispatch;\n"
           "using ::capbroker::serving::DispatchMethod;\n"
           "using ::capbroker::serving::InvokeCallback;\n"
           "using ::capbroker::serving::InvokeSync;\n"
           "using ::capbroker::serving::UnaryInvocation;\n"
           "using ::capbroker::serving::WireGate;\n"
           "using ::capbroker::serving::WireServices;\n"
           "using ::google::protobuf::Message;\n"
           "\n");
  for (int i = 0; i < file.service_count(); ++i) {
    p->Print(ServiceVariables(*file.service(i)),
             "const ::google::protobuf::ServiceDescriptor* $service$Descriptor() {\n"
             "  static const auto* const descriptor =\n"
             "      ::google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(\n"
             "          \"$full_service$\");\n"
             "  return descriptor;\n"
             "}\n"
             "\n");
    PrintServiceDefinition(*file.service(i), p);
  }
  p->Print(v, "}  // namespace $namespace$\n");
}

}  // namespace capbroker::codegen
