// Writes a page about the services of some protos.
//
//   pages service|authority OUTPUT (IMAGE.binpb FILE...)...
//
// IMAGE is a serialised FileDescriptorSet with imports and comments, FILE the files of it that
// are meant. Run by the rules of tools/build/image.bzl.
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "tools/pages/authority_page.h"
#include "tools/pages/service_page.h"

namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using google::protobuf::FileDescriptorProto;
using google::protobuf::FileDescriptorSet;

int Complain(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  return 1;
}

// Adds the files of the image that the pool does not have. Imports come first in an image.
bool AddImage(const std::string& path, DescriptorPool& pool) {
  std::ifstream file(path, std::ios::binary);
  FileDescriptorSet image;
  if (!image.ParseFromIstream(&file)) return false;
  for (const FileDescriptorProto& proto : image.file()) {
    if (pool.FindFileByName(proto.name()) != nullptr) continue;
    if (pool.BuildFile(proto) == nullptr) return false;
  }
  return true;
}

}  // namespace

int main(int argc, char* argv[]) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() < 4) return Complain("usage: see tools/pages/main.cc");
  DescriptorPool pool;
  std::vector<const FileDescriptor*> files;
  for (size_t i = 2; i < arguments.size(); ++i) {
    if (absl::EndsWith(arguments[i], ".binpb")) {
      if (!AddImage(arguments[i], pool)) return Complain(arguments[i] + ": no image");
    } else if (const FileDescriptor* file = pool.FindFileByName(arguments[i])) {
      files.push_back(file);
    } else {
      return Complain(arguments[i] + ": not in the image");
    }
  }
  std::ofstream output(arguments[1]);
  output << (arguments[0] == "authority" ? capbroker::tools::AuthorityPage(files)
                                         : capbroker::tools::ServicePage(files));
  output.close();
  return output ? 0 : Complain(arguments[1] + ": cannot be written");
}
