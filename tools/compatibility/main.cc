// Checks a proto against its recorded image, or records it.
//
//   compatibility check  IMAGE COMMAND RECORDED FILE...
//   compatibility record IMAGE COMMAND OUTPUT FILE...
//
// IMAGE is a serialised FileDescriptorSet with all imports, FILE the proto files that
// are meant, COMMAND what to run to record. Run by the rules of tools/build/image.bzl.
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tools/compatibility/compatibility.h"

namespace {

using capbroker::tools::Compare;
using capbroker::tools::Finding;
using capbroker::tools::ImageFromText;
using capbroker::tools::ImageOf;
using capbroker::tools::ImageToText;
using google::protobuf::FileDescriptorSet;

int Complain(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  return 1;
}

int Check(const FileDescriptorSet& current, const std::string& command, const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) return Complain(path + ": cannot be read");
  const absl::StatusOr<FileDescriptorSet> recorded = ImageFromText(text.str());
  if (!recorded.ok()) return Complain(path + ": " + std::string(recorded.status().message()));
  if (recorded->file_size() == 0) return Complain(path + ": nothing is recorded: " + command);
  const std::vector<Finding> findings = Compare(*recorded, current);
  for (const Finding& finding : findings) std::printf("%s\n", finding.ToString().c_str());
  if (!findings.empty()) {
    std::printf(
        "\nThe proto is not compatible with %s.\nIf that is meant, and no user of the recorded "
        "version is left: %s\n",
        path.c_str(), command.c_str());
    return 1;
  }
  if (ImageToText(current, command) != text.str()) {
    std::printf("compatible; additions are not recorded yet: %s\n", command.c_str());
  }
  return 0;
}

int Record(const FileDescriptorSet& current, const std::string& command, const std::string& path) {
  std::ofstream file(path);
  file << ImageToText(current, command);
  file.close();
  if (!file) return Complain(path + ": cannot be written");
  std::printf("recorded %s\n", path.c_str());
  return 0;
}

}  // namespace

int main(int argc, char* argv[]) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() < 5) return Complain("usage: see tools/compatibility/main.cc");
  FileDescriptorSet compiled;
  std::ifstream image(arguments[1], std::ios::binary);
  if (!compiled.ParseFromIstream(&image)) return Complain(arguments[1] + ": no image");
  const FileDescriptorSet current = ImageOf(compiled, {arguments.begin() + 4, arguments.end()});
  if (arguments[0] == "check") return Check(current, arguments[2], arguments[3]);
  if (arguments[0] == "record") return Record(current, arguments[2], arguments[3]);
  return Complain("neither check nor record");
}
