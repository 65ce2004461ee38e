#include "examples/hello/subject.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace capbroker::hello {
namespace {

// Bazel changes the working directory of what it runs, and says where it was.
std::filesystem::path CallersDirectory() {
  const char* directory = std::getenv("BUILD_WORKING_DIRECTORY");
  std::error_code ignored;
  return directory != nullptr ? std::filesystem::path(directory)
                              : std::filesystem::current_path(ignored);
}

bool IsHostName(absl::string_view text) {
  for (const char c : text) {
    const bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '-' || c == '.' || c == '_' || c == ':';
    if (!ok) return false;
  }
  return !text.empty() && text.size() <= 253;
}

}  // namespace

absl::StatusOr<Subject> ParseSubject(absl::string_view argument) {
  Subject subject;
  subject.argument = std::string(argument);
  absl::string_view path = argument;
  const bool is_url = absl::ConsumePrefix(&path, "file://");
  if (is_url || absl::StrContains(argument, '/')) {
    if (is_url && !absl::StartsWith(path, "/")) {
      return absl::InvalidArgumentError("a file URL of another host");
    }
    subject.kind = Subject::Kind::kFile;
    subject.name =
        (CallersDirectory() / std::filesystem::path(std::string(path))).lexically_normal();
    if (absl::EndsWith(subject.name, "/")) {
      return absl::InvalidArgumentError("a directory, where a file is wanted");
    }
    struct stat status;
    if (stat(subject.name.c_str(), &status) == 0) subject.group = status.st_gid;
    return subject;
  }
  if (!IsHostName(argument)) return absl::InvalidArgumentError("neither a path nor a host's name");
  subject.kind = Subject::Kind::kHost;
  subject.name = std::string(argument);
  return subject;
}

}  // namespace capbroker::hello
