// The lane's client of a service.
#include "tools/protoc-gen-capbroker/printing.h"

namespace capbroker::codegen {
namespace {

using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;
using google::protobuf::io::Printer;

void PrintMethodDeclarations(const MethodDescriptor& method, Printer* p) {
  const Variables v = MethodVariables(method);
  switch (KindOf(method)) {
    case Kind::kUnary:
      p->Print(
          v,
          "  ::grpc::ClientAsyncResponseReaderInterface<$response$>* Async$method$Raw(\n"
          "      ::grpc::ClientContext* context, const $request$& request,\n"
          "      ::grpc::CompletionQueue* cq) override;\n"
          "  ::grpc::ClientAsyncResponseReaderInterface<$response$>* PrepareAsync$method$Raw(\n"
          "      ::grpc::ClientContext* context, const $request$& request,\n"
          "      ::grpc::CompletionQueue* cq) override;\n");
      break;
    case Kind::kServerStream:
      p->Print(v,
               "  ::grpc::ClientReaderInterface<$response$>* $method$Raw(\n"
               "      ::grpc::ClientContext* context, const $request$& request) override;\n"
               "  ::grpc::ClientAsyncReaderInterface<$response$>* Async$method$Raw(\n"
               "      ::grpc::ClientContext* context, const $request$& request,\n"
               "      ::grpc::CompletionQueue* cq, void* tag) override;\n"
               "  ::grpc::ClientAsyncReaderInterface<$response$>* PrepareAsync$method$Raw(\n"
               "      ::grpc::ClientContext* context, const $request$& request,\n"
               "      ::grpc::CompletionQueue* cq) override;\n");
      break;
    case Kind::kClientStream:
      p->Print(v,
               "  ::grpc::ClientWriterInterface<$request$>* $method$Raw(\n"
               "      ::grpc::ClientContext* context, $response$* response) override;\n"
               "  ::grpc::ClientAsyncWriterInterface<$request$>* Async$method$Raw(\n"
               "      ::grpc::ClientContext* context, $response$* response,\n"
               "      ::grpc::CompletionQueue* cq, void* tag) override;\n"
               "  ::grpc::ClientAsyncWriterInterface<$request$>* PrepareAsync$method$Raw(\n"
               "      ::grpc::ClientContext* context, $response$* response,\n"
               "      ::grpc::CompletionQueue* cq) override;\n");
      break;
    case Kind::kBidi:
      p->Print(v,
               "  ::grpc::ClientReaderWriterInterface<$request$, $response$>* $method$Raw(\n"
               "      ::grpc::ClientContext* context) override;\n"
               "  ::grpc::ClientAsyncReaderWriterInterface<$request$, $response$>* "
               "Async$method$Raw(\n"
               "      ::grpc::ClientContext* context, ::grpc::CompletionQueue* cq,\n"
               "      void* tag) override;\n"
               "  ::grpc::ClientAsyncReaderWriterInterface<$request$, $response$>* "
               "PrepareAsync$method$Raw(\n"
               "      ::grpc::ClientContext* context, ::grpc::CompletionQueue* cq) override;\n");
      break;
  }
}

void PrintAsyncDeclaration(const MethodDescriptor& method, Printer* p) {
  const Variables v = MethodVariables(method);
  switch (KindOf(method)) {
    case Kind::kUnary:
      p->Print(v,
               "    void $method$(::grpc::ClientContext* context, const $request$* request,\n"
               "        $response$* response, std::function<void(::grpc::Status)> done) override;\n"
               "    void $method$(::grpc::ClientContext* context, const $request$* request,\n"
               "        $response$* response, ::grpc::ClientUnaryReactor* reactor) override;\n");
      break;
    case Kind::kServerStream:
      p->Print(v,
               "    void $method$(::grpc::ClientContext* context, const $request$* request,\n"
               "        ::grpc::ClientReadReactor<$response$>* reactor) override;\n");
      break;
    case Kind::kClientStream:
      p->Print(v,
               "    void $method$(::grpc::ClientContext* context, $response$* response,\n"
               "        ::grpc::ClientWriteReactor<$request$>* reactor) override;\n");
      break;
    case Kind::kBidi:
      p->Print(v,
               "    void $method$(::grpc::ClientContext* context,\n"
               "        ::grpc::ClientBidiReactor<$request$, $response$>* reactor) override;\n");
      break;
  }
}

void PrintServiceDeclaration(const ServiceDescriptor& service, Printer* p) {
  const Variables v = ServiceVariables(service);
  p->Print(v,
           "// $service$ over a channel: unary calls on its lane, others on its wire.\n"
           "class $service$Client final : public $service$::StubInterface {\n"
           " public:\n"
           "  explicit $service$Client(std::shared_ptr<::capbroker::Channel> channel);\n"
           "  ~$service$Client() override;\n"
           "\n");
  for (int i = 0; i < service.method_count(); ++i) {
    if (KindOf(*service.method(i)) != Kind::kUnary) continue;
    p->Print(MethodVariables(*service.method(i)),
             "  ::grpc::Status $method$(::grpc::ClientContext* context, const $request$& request,\n"
             "      $response$* response) override;\n");
  }
  p->Print(v,
           "  async_interface* async() override { return &async_; }\n"
           "\n"
           " private:\n"
           "  class Async final : public async_interface {\n"
           "   public:\n"
           "    explicit Async($service$Client* client) : client_(client) {}\n");
  for (int i = 0; i < service.method_count(); ++i) PrintAsyncDeclaration(*service.method(i), p);
  p->Print(v,
           "\n"
           "   private:\n"
           "    $service$Client* const client_;\n"
           "  };\n"
           "\n");
  for (int i = 0; i < service.method_count(); ++i) PrintMethodDeclarations(*service.method(i), p);
  p->Print(v,
           "\n"
           "  const std::shared_ptr<::capbroker::Channel> channel_;\n"
           "  ::capbroker::transport::WireStub<$service$> wire_;\n"
           "  Async async_{this};\n"
           "};\n"
           "\n");
}

void PrintUnary(const MethodDescriptor& method, Printer* p) {
  p->Print(MethodVariables(method),
           "static constexpr ::capbroker::transport::ClientMethod k$service$$method$ = {\n"
           "    \"$path$\", ::capbroker::transport::MethodId(\"$path$\"),\n"
           "    $request_descriptors$, $response_descriptors$};\n"
           "::grpc::Status $service$Client::$method$(::grpc::ClientContext* context,\n"
           "    const $request$& request, $response$* response) {\n"
           "  return ::capbroker::transport::CallUnary(channel_->lane(), k$service$$method$,\n"
           "      context, request, response);\n"
           "}\n"
           "void $service$Client::Async::$method$(::grpc::ClientContext* context,\n"
           "    const $request$* request, $response$* response,\n"
           "    std::function<void(::grpc::Status)> done) {\n"
           "  ::capbroker::transport::StartUnary(client_->channel_->lane(), k$service$$method$,\n"
           "      context, request, response, std::move(done));\n"
           "}\n"
           "void $service$Client::Async::$method$(::grpc::ClientContext* context,\n"
           "    const $request$* request, $response$* response,\n"
           "    ::grpc::ClientUnaryReactor* reactor) {\n"
           "  ::capbroker::transport::BindUnary(client_->channel_->lane(), k$service$$method$,\n"
           "      context, request, response, reactor);\n"
           "}\n"
           "::grpc::ClientAsyncResponseReaderInterface<$response$>*\n"
           "$service$Client::Async$method$Raw(::grpc::ClientContext* context,\n"
           "    const $request$& request, ::grpc::CompletionQueue* cq) {\n"
           "  return wire_.Get()->Async$method$(context, request, cq).release();\n"
           "}\n"
           "::grpc::ClientAsyncResponseReaderInterface<$response$>*\n"
           "$service$Client::PrepareAsync$method$Raw(::grpc::ClientContext* context,\n"
           "    const $request$& request, ::grpc::CompletionQueue* cq) {\n"
           "  return wire_.Get()->PrepareAsync$method$(context, request, cq).release();\n"
           "}\n"
           "\n");
}

void PrintServerStream(const MethodDescriptor& method, Printer* p) {
  p->Print(MethodVariables(method),
           "::grpc::ClientReaderInterface<$response$>* $service$Client::$method$Raw(\n"
           "    ::grpc::ClientContext* context, const $request$& request) {\n"
           "  return wire_.Get()->$method$(context, request).release();\n"
           "}\n"
           "::grpc::ClientAsyncReaderInterface<$response$>* $service$Client::Async$method$Raw(\n"
           "    ::grpc::ClientContext* context, const $request$& request,\n"
           "    ::grpc::CompletionQueue* cq, void* tag) {\n"
           "  return wire_.Get()->Async$method$(context, request, cq, tag).release();\n"
           "}\n"
           "::grpc::ClientAsyncReaderInterface<$response$>*\n"
           "$service$Client::PrepareAsync$method$Raw(::grpc::ClientContext* context,\n"
           "    const $request$& request, ::grpc::CompletionQueue* cq) {\n"
           "  return wire_.Get()->PrepareAsync$method$(context, request, cq).release();\n"
           "}\n"
           "void $service$Client::Async::$method$(::grpc::ClientContext* context,\n"
           "    const $request$* request, ::grpc::ClientReadReactor<$response$>* reactor) {\n"
           "  client_->wire_.Get()->async()->$method$(context, request, reactor);\n"
           "}\n"
           "\n");
}

void PrintClientStream(const MethodDescriptor& method, Printer* p) {
  p->Print(MethodVariables(method),
           "::grpc::ClientWriterInterface<$request$>* $service$Client::$method$Raw(\n"
           "    ::grpc::ClientContext* context, $response$* response) {\n"
           "  return wire_.Get()->$method$(context, response).release();\n"
           "}\n"
           "::grpc::ClientAsyncWriterInterface<$request$>* $service$Client::Async$method$Raw(\n"
           "    ::grpc::ClientContext* context, $response$* response,\n"
           "    ::grpc::CompletionQueue* cq, void* tag) {\n"
           "  return wire_.Get()->Async$method$(context, response, cq, tag).release();\n"
           "}\n"
           "::grpc::ClientAsyncWriterInterface<$request$>*\n"
           "$service$Client::PrepareAsync$method$Raw(::grpc::ClientContext* context,\n"
           "    $response$* response, ::grpc::CompletionQueue* cq) {\n"
           "  return wire_.Get()->PrepareAsync$method$(context, response, cq).release();\n"
           "}\n"
           "void $service$Client::Async::$method$(::grpc::ClientContext* context,\n"
           "    $response$* response, ::grpc::ClientWriteReactor<$request$>* reactor) {\n"
           "  client_->wire_.Get()->async()->$method$(context, response, reactor);\n"
           "}\n"
           "\n");
}

void PrintBidi(const MethodDescriptor& method, Printer* p) {
  p->Print(MethodVariables(method),
           "::grpc::ClientReaderWriterInterface<$request$, $response$>*\n"
           "$service$Client::$method$Raw(::grpc::ClientContext* context) {\n"
           "  return wire_.Get()->$method$(context).release();\n"
           "}\n"
           "::grpc::ClientAsyncReaderWriterInterface<$request$, $response$>*\n"
           "$service$Client::Async$method$Raw(::grpc::ClientContext* context,\n"
           "    ::grpc::CompletionQueue* cq, void* tag) {\n"
           "  return wire_.Get()->Async$method$(context, cq, tag).release();\n"
           "}\n"
           "::grpc::ClientAsyncReaderWriterInterface<$request$, $response$>*\n"
           "$service$Client::PrepareAsync$method$Raw(::grpc::ClientContext* context,\n"
           "    ::grpc::CompletionQueue* cq) {\n"
           "  return wire_.Get()->PrepareAsync$method$(context, cq).release();\n"
           "}\n"
           "void $service$Client::Async::$method$(::grpc::ClientContext* context,\n"
           "    ::grpc::ClientBidiReactor<$request$, $response$>* reactor) {\n"
           "  client_->wire_.Get()->async()->$method$(context, reactor);\n"
           "}\n"
           "\n");
}

void PrintServiceDefinition(const ServiceDescriptor& service, Printer* p) {
  p->Print(ServiceVariables(service),
           "$service$Client::$service$Client(std::shared_ptr<::capbroker::Channel> channel)\n"
           "    : channel_(std::move(channel)), wire_(channel_.get()) {}\n"
           "$service$Client::~$service$Client() = default;\n"
           "\n");
  for (int i = 0; i < service.method_count(); ++i) {
    const MethodDescriptor& method = *service.method(i);
    switch (KindOf(method)) {
      case Kind::kUnary:
        PrintUnary(method, p);
        break;
      case Kind::kServerStream:
        PrintServerStream(method, p);
        break;
      case Kind::kClientStream:
        PrintClientStream(method, p);
        break;
      case Kind::kBidi:
        PrintBidi(method, p);
        break;
    }
  }
}

}  // namespace

void PrintClientHeader(const FileDescriptor& file, Printer* p) {
  const Variables v = FileVariables(file);
  p->Print(v,
           "// Generated by protoc-gen-capbroker from $file$. DO NOT EDIT.\n"
           "#ifndef $guard$_CAPBROKER_H_\n"
           "#define $guard$_CAPBROKER_H_\n"
           "\n"
           "#include <functional>\n"
           "#include <memory>\n"
           "\n"
           "#include \"$stem$.grpc.pb.h\"\n"
           "#include \"transport/stub.h\"\n"
           "\n"
           "namespace $namespace$ {\n"
           "\n");
  for (int i = 0; i < file.service_count(); ++i) PrintServiceDeclaration(*file.service(i), p);
  p->Print(v, "}  // namespace $namespace$\n\n");
  for (int i = 0; i < file.service_count(); ++i) {
    p->Print(ServiceVariables(*file.service(i)),
             "template <>\n"
             "struct capbroker::StubOf<::$namespace$::$service$> {\n"
             "  using Client = ::$namespace$::$service$Client;\n"
             "  static constexpr char kName[] = \"$full_service$\";\n"
             "};\n"
             "\n");
  }
  p->Print(v, "#endif  // $guard$_CAPBROKER_H_\n");
}

void PrintClientSource(const FileDescriptor& file, Printer* p) {
  const Variables v = FileVariables(file);
  p->Print(v,
           "// Generated by protoc-gen-capbroker from $file$. DO NOT EDIT.\n"
           "#include \"$stem$.capbroker.h\"\n"
           "\n"
           "#include <utility>\n"
           "\n"
           "namespace $namespace$ {\n"
           "\n");
  for (int i = 0; i < file.service_count(); ++i) PrintServiceDefinition(*file.service(i), p);
  p->Print(v, "}  // namespace $namespace$\n");
}

}  // namespace capbroker::codegen
