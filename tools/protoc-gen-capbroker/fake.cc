// A stub for tests of callers, made of functions.
#include "tools/protoc-gen-capbroker/printing.h"

namespace capbroker::codegen {
namespace {

using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;
using google::protobuf::io::Printer;

// Streams and completion queues: a test that needs them has a real server.
void PrintNotFaked(const MethodDescriptor& method, Printer* p) {
  const Variables v = MethodVariables(method);
  switch (KindOf(method)) {
    case Kind::kUnary:
      p->Print(
          v,
          "  ::grpc::ClientAsyncResponseReaderInterface<$response$>* Async$method$Raw(\n"
          "      ::grpc::ClientContext*, const $request$&, ::grpc::CompletionQueue*) override {\n"
          "    return nullptr;\n"
          "  }\n"
          "  ::grpc::ClientAsyncResponseReaderInterface<$response$>* PrepareAsync$method$Raw(\n"
          "      ::grpc::ClientContext*, const $request$&, ::grpc::CompletionQueue*) override {\n"
          "    return nullptr;\n"
          "  }\n");
      break;
    case Kind::kServerStream:
      p->Print(
          v,
          "  ::grpc::ClientReaderInterface<$response$>* $method$Raw(\n"
          "      ::grpc::ClientContext* context, const $request$& request) override {\n"
          "    return on_$method$ ? on_$method$(context, request).release() : nullptr;\n"
          "  }\n"
          "  ::grpc::ClientAsyncReaderInterface<$response$>* Async$method$Raw(\n"
          "      ::grpc::ClientContext*, const $request$&, ::grpc::CompletionQueue*,\n"
          "      void*) override { return nullptr; }\n"
          "  ::grpc::ClientAsyncReaderInterface<$response$>* PrepareAsync$method$Raw(\n"
          "      ::grpc::ClientContext*, const $request$&, ::grpc::CompletionQueue*) override {\n"
          "    return nullptr;\n"
          "  }\n");
      break;
    case Kind::kClientStream:
      p->Print(v,
               "  ::grpc::ClientWriterInterface<$request$>* $method$Raw(\n"
               "      ::grpc::ClientContext* context, $response$* response) override {\n"
               "    return on_$method$ ? on_$method$(context, response).release() : nullptr;\n"
               "  }\n"
               "  ::grpc::ClientAsyncWriterInterface<$request$>* Async$method$Raw(\n"
               "      ::grpc::ClientContext*, $response$*, ::grpc::CompletionQueue*,\n"
               "      void*) override { return nullptr; }\n"
               "  ::grpc::ClientAsyncWriterInterface<$request$>* PrepareAsync$method$Raw(\n"
               "      ::grpc::ClientContext*, $response$*, ::grpc::CompletionQueue*) override {\n"
               "    return nullptr;\n"
               "  }\n");
      break;
    case Kind::kBidi:
      p->Print(
          v,
          "  ::grpc::ClientReaderWriterInterface<$request$, $response$>* $method$Raw(\n"
          "      ::grpc::ClientContext* context) override {\n"
          "    return on_$method$ ? on_$method$(context).release() : nullptr;\n"
          "  }\n"
          "  ::grpc::ClientAsyncReaderWriterInterface<$request$, $response$>* "
          "Async$method$Raw(\n"
          "      ::grpc::ClientContext*, ::grpc::CompletionQueue*, void*) override {\n"
          "    return nullptr;\n"
          "  }\n"
          "  ::grpc::ClientAsyncReaderWriterInterface<$request$, $response$>*\n"
          "  PrepareAsync$method$Raw(::grpc::ClientContext*, ::grpc::CompletionQueue*) override "
          "{\n"
          "    return nullptr;\n"
          "  }\n");
      break;
  }
}

void PrintFunction(const MethodDescriptor& method, Printer* p) {
  const Variables v = MethodVariables(method);
  switch (KindOf(method)) {
    case Kind::kUnary:
      p->Print(
          v,
          "  std::function<::grpc::Status(::grpc::ClientContext*, const $request$&,\n"
          "      $response$*)> on_$method$;\n"
          "  ::grpc::Status $method$(::grpc::ClientContext* context, const $request$& request,\n"
          "      $response$* response) override {\n"
          "    if (on_$method$) return on_$method$(context, request, response);\n"
          "    return ::grpc::Status(::grpc::StatusCode::UNIMPLEMENTED, \"not faked\");\n"
          "  }\n");
      break;
    case Kind::kServerStream:
      p->Print(v,
               "  std::function<std::unique_ptr<::grpc::ClientReaderInterface<$response$>>(\n"
               "      ::grpc::ClientContext*, const $request$&)> on_$method$;\n");
      break;
    case Kind::kClientStream:
      p->Print(v,
               "  std::function<std::unique_ptr<::grpc::ClientWriterInterface<$request$>>(\n"
               "      ::grpc::ClientContext*, $response$*)> on_$method$;\n");
      break;
    case Kind::kBidi:
      p->Print(v,
               "  std::function<std::unique_ptr<\n"
               "      ::grpc::ClientReaderWriterInterface<$request$, $response$>>(\n"
               "      ::grpc::ClientContext*)> on_$method$;\n");
      break;
  }
}

void PrintFake(const ServiceDescriptor& service, Printer* p) {
  const Variables v = ServiceVariables(service);
  p->Print(v,
           "// A stub whose answers are functions: unset ones answer UNIMPLEMENTED, or no\n"
           "// stream. Calls through async() and completion queues are not faked.\n"
           "class $service$Fake : public $service$::StubInterface {\n"
           " public:\n");
  for (int i = 0; i < service.method_count(); ++i) PrintFunction(*service.method(i), p);
  p->Print(v, "\n private:\n");
  for (int i = 0; i < service.method_count(); ++i) PrintNotFaked(*service.method(i), p);
  p->Print(v, "};\n\n");
}

}  // namespace

void PrintFakeHeader(const FileDescriptor& file, Printer* p) {
  const Variables v = FileVariables(file);
  p->Print(v,
           "// Generated by protoc-gen-capbroker from $file$. DO NOT EDIT.\n"
           "#ifndef $guard$_FAKE_H_\n"
           "#define $guard$_FAKE_H_\n"
           "\n"
           "#include <functional>\n"
           "#include <memory>\n"
           "\n"
           "#include \"$stem$.grpc.pb.h\"\n"
           "\n"
           "namespace $namespace$ {\n"
           "\n");
  for (int i = 0; i < file.service_count(); ++i) PrintFake(*file.service(i), p);
  p->Print(v,
           "}  // namespace $namespace$\n"
           "\n"
           "#endif  // $guard$_FAKE_H_\n");
}

}  // namespace capbroker::codegen
