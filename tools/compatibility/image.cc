// Images: what is recorded, and how it is written.
#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "capbroker/v1/authority.pb.h"
#include "google/protobuf/text_format.h"
#include "tools/compatibility/compatibility.h"

namespace capbroker::tools {
namespace {

using google::protobuf::FileDescriptorProto;
using google::protobuf::FileDescriptorSet;

}  // namespace

FileDescriptorSet ImageOf(const FileDescriptorSet& compiled,
                          const std::vector<std::string>& direct) {
  FileDescriptorSet image;
  for (const FileDescriptorProto& file : compiled.file()) {
    const bool asked_for = std::find(direct.begin(), direct.end(), file.name()) != direct.end();
    const bool elsewhere = absl::StartsWith(file.name(), "google/") ||
                           file.name() == v1::Denial::descriptor()->file()->name();
    if (!asked_for && elsewhere) continue;
    FileDescriptorProto& recorded = *image.add_file();
    recorded = file;
    recorded.clear_source_code_info();
  }
  // Options of somebody else's, which text has no name for here.
  image.DiscardUnknownFields();
  return image;
}

std::string ImageToText(const FileDescriptorSet& image, const std::string& command) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(image, &text);
  return absl::StrCat("# proto-file: google/protobuf/descriptor.proto\n",
                      "# proto-message: google.protobuf.FileDescriptorSet\n",
                      "# What the proto's users rely on. Written by `", command, "`.\n", text);
}

absl::StatusOr<FileDescriptorSet> ImageFromText(const std::string& text) {
  FileDescriptorSet image;
  if (!google::protobuf::TextFormat::ParseFromString(text, &image)) {
    return absl::InvalidArgumentError("not a FileDescriptorSet in text format");
  }
  return image;
}

}  // namespace capbroker::tools
