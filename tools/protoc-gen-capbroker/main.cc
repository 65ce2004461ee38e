// The protoc plugin: a lane's client, a dispatch table and a proxy for every service.
#include <google/protobuf/compiler/plugin.h>

#include "tools/protoc-gen-capbroker/generator.h"

int main(int argc, char* argv[]) {
  const capbroker::codegen::Generator generator;
  return google::protobuf::compiler::PluginMain(argc, argv, &generator);
}
