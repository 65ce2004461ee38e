// What a proto's new version takes from those who use the recorded one.
//
// A worker, or an application, may be built against yesterday's proto and meet today's
// service. Two kinds of change hurt: one breaks what worked (a field removed, renumbered
// or retyped), and one loosens what was refused (a field that was bounded and is not any
// more). A schema comparison alone finds the first kind only, because authority is
// declared in options; this one reads them too.
//
// Both versions are FileDescriptorSets. The recorded one is an image: only what is
// compared, as text, without source positions, so that it is read in a review.
//
// Runs at build time.
#ifndef TOOLS_COMPATIBILITY_COMPATIBILITY_H_
#define TOOLS_COMPATIBILITY_COMPATIBILITY_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/descriptor.pb.h"

namespace capbroker::tools {

struct Finding {
  enum class Kind {
    kBreaks,   // what a caller of the recorded version did fails, or no longer compiles
    kLoosens,  // what the recorded version refused is allowed
  };
  Kind kind;
  std::string element;  // full name
  std::string change;
  // "capbroker.dns.v1.ResolveRequest.name: LOOSENS: bounded_by \"names\" is now none".
  std::string ToString() const;
};

// In the order of the recorded image, then of the current one. Additions are no finding, unless
// every request of an old caller would be refused for one.
std::vector<Finding> Compare(const google::protobuf::FileDescriptorSet& recorded,
                             const google::protobuf::FileDescriptorSet& current);

// What is recorded of `compiled`: the files `direct` and what they import, without
// google's own files, capbroker's options (unless they are `direct`) and source positions.
google::protobuf::FileDescriptorSet ImageOf(const google::protobuf::FileDescriptorSet& compiled,
                                            const std::vector<std::string>& direct);

// The image as text, under a comment that names `command`, which writes it.
std::string ImageToText(const google::protobuf::FileDescriptorSet& image,
                        const std::string& command);
// INVALID_ARGUMENT: not what ImageToText writes.
absl::StatusOr<google::protobuf::FileDescriptorSet> ImageFromText(const std::string& text);

}  // namespace capbroker::tools

#endif  // TOOLS_COMPATIBILITY_COMPATIBILITY_H_
