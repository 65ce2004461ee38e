// What the user named: a host, or a file. Lives in: the application.
#ifndef EXAMPLES_HELLO_SUBJECT_H_
#define EXAMPLES_HELLO_SUBJECT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace capbroker::hello {

struct Subject {
  enum class Kind { kHost, kFile };
  Kind kind;
  std::string argument;  // as it was typed
  std::string name;      // the host's name, or the file's absolute path
  // Of a file that is there: the id of its owner's group.
  std::optional<uint32_t> group;
};

// "./README.md", "/etc/hosts", "file:///etc/hosts", or else a host's name. Relative
// paths are those of the shell that `bazel run` was called from.
// INVALID_ARGUMENT: neither can be meant.
absl::StatusOr<Subject> ParseSubject(absl::string_view argument);

}  // namespace capbroker::hello

#endif  // EXAMPLES_HELLO_SUBJECT_H_
