// How protoc and gRPC's plugin name things in C++, and the variables of the
// generator's templates. Runs at build time.
#ifndef TOOLS_PROTOC_GEN_CAPBROKER_PRINTING_H_
#define TOOLS_PROTOC_GEN_CAPBROKER_PRINTING_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/printer.h>

#include <map>
#include <string>

namespace capbroker::codegen {

using Variables = std::map<std::string, std::string>;

// "a/b/foo.proto" without its ending.
std::string Stem(const google::protobuf::FileDescriptor& file);

// "capbroker.dns.v1" as "capbroker::dns::v1".
std::string Namespace(const google::protobuf::FileDescriptor& file);

// Whether messages of `type` can name descriptors, at any depth.
bool CarriesDescriptors(const google::protobuf::Descriptor* type);

enum class Kind { kUnary, kServerStream, kClientStream, kBidi };
Kind KindOf(const google::protobuf::MethodDescriptor& method);

// $file$, $stem$, $guard$, $namespace$.
Variables FileVariables(const google::protobuf::FileDescriptor& file);
// Those and $service$ (the class), $full_service$ (the proto's name).
Variables ServiceVariables(const google::protobuf::ServiceDescriptor& service);
// Those and $method$, $path$, $index$, $request$, $response$ (classes).
Variables MethodVariables(const google::protobuf::MethodDescriptor& method);

bool AllUnary(const google::protobuf::ServiceDescriptor& service);

// The kinds of file.
void PrintClientHeader(const google::protobuf::FileDescriptor& file,
                       google::protobuf::io::Printer* printer);
void PrintClientSource(const google::protobuf::FileDescriptor& file,
                       google::protobuf::io::Printer* printer);
void PrintDispatchHeader(const google::protobuf::FileDescriptor& file,
                         google::protobuf::io::Printer* printer);
void PrintDispatchSource(const google::protobuf::FileDescriptor& file,
                         google::protobuf::io::Printer* printer);
void PrintFakeHeader(const google::protobuf::FileDescriptor& file,
                     google::protobuf::io::Printer* printer);
void PrintProxyHeader(const google::protobuf::FileDescriptor& file,
                      google::protobuf::io::Printer* printer);
void PrintFuzzSource(const google::protobuf::FileDescriptor& file,
                     google::protobuf::io::Printer* printer);

}  // namespace capbroker::codegen

#endif  // TOOLS_PROTOC_GEN_CAPBROKER_PRINTING_H_
