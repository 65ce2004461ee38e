// For every `foo.proto`, beside what protoc and gRPC's plugin generate:
//   foo.capbroker.{h,cc}  for workers: a client that implements gRPC's
//                         StubInterface, unary calls on the lane, others on the wire
//   foo.dispatch.{h,cc}   for service processes: the dispatch table and the checks
//   foo.fake.h            for tests of callers: a StubInterface made of functions
//   foo.proxy.h           for service processes: the service, served by calling it
//   foo.fuzz.cc           makes the services known to tools/fuzz
//
// Runs at build time.
#ifndef TOOLS_PROTOC_GEN_CAPBROKER_GENERATOR_H_
#define TOOLS_PROTOC_GEN_CAPBROKER_GENERATOR_H_

#include <google/protobuf/compiler/code_generator.h>
#include <google/protobuf/descriptor.h>

#include <string>

namespace capbroker::codegen {

class Generator : public google::protobuf::compiler::CodeGenerator {
 public:
  bool Generate(const google::protobuf::FileDescriptor* file, const std::string& parameter,
                google::protobuf::compiler::GeneratorContext* context,
                std::string* error) const override;
  uint64_t GetSupportedFeatures() const override { return FEATURE_PROTO3_OPTIONAL; }
};

}  // namespace capbroker::codegen

#endif  // TOOLS_PROTOC_GEN_CAPBROKER_GENERATOR_H_
