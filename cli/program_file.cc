#include "cli/program_file.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/errno_status.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace capbroker::cli {
namespace {

// As the kernel's BINPRM_BUF_SIZE.
constexpr size_t kLongestFirstLine = 256;

bool IsExecutable(const std::string& path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         access(path.c_str(), X_OK) == 0;
}

absl::StatusOr<std::string> Search(const std::string& name, const char* search_path) {
  if (name.find('/') != std::string::npos) {
    if (access(name.c_str(), X_OK) != 0) return ErrnoToStatus(errno, name);
    if (!IsExecutable(name)) return absl::PermissionDeniedError(absl::StrCat(name, ": no program"));
    return name;
  }
  for (const absl::string_view directory :
       absl::StrSplit(search_path == nullptr ? "/usr/bin:/bin" : search_path, ':')) {
    const std::string path = absl::StrCat(directory.empty() ? "." : directory, "/", name);
    if (IsExecutable(path)) return path;
  }
  return absl::NotFoundError(absl::StrCat(name, ": no such program"));
}

absl::StatusOr<std::string> FirstLine(const std::string& path) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  char text[kLongestFirstLine];
  // A program that may be executed but not read is none that can be given to a worker.
  const ssize_t size = file.valid() ? read(file.get(), text, sizeof text) : -1;
  if (size < 0) return ErrnoToStatus(errno, path);
  const std::string start(text, static_cast<size_t>(size));
  return start.substr(0, start.find('\n'));
}

}  // namespace

std::string AbsolutePath(const std::string& path, const std::string& directory) {
  std::vector<std::string> components;
  const std::string whole = path[0] == '/' ? path : absl::StrCat(directory, "/", path);
  for (const absl::string_view component : absl::StrSplit(whole, '/', absl::SkipEmpty())) {
    if (component == ".") continue;
    if (component != "..") {
      components.emplace_back(component);
    } else if (!components.empty()) {
      components.pop_back();
    }
  }
  std::string absolute;
  for (const std::string& component : components) absl::StrAppend(&absolute, "/", component);
  return absolute.empty() ? "/" : absolute;
}

absl::StatusOr<std::string> WorkingDirectory() {
  char directory[PATH_MAX];
  if (getcwd(directory, sizeof directory) == nullptr || directory[0] != '/') {
    return ErrnoToStatus(errno != 0 ? errno : ENOENT, "working directory");
  }
  return std::string(directory);
}

absl::StatusOr<ProgramFile> FindProgram(const std::string& name, const char* search_path) {
  ProgramFile program;
  CB_ASSIGN_OR_RETURN(program.path, Search(name, search_path));
  CB_ASSIGN_OR_RETURN(const std::string line, FirstLine(program.path));
  absl::string_view interpreter = line;
  if (!absl::ConsumePrefix(&interpreter, "#!")) return program;
  const std::pair<absl::string_view, absl::string_view> words = absl::StrSplit(
      absl::StripAsciiWhitespace(interpreter), absl::MaxSplits(absl::ByAnyChar(" \t"), 1));
  CB_ASSIGN_OR_RETURN(const std::string directory, WorkingDirectory());
  program.script = AbsolutePath(program.path, directory);
  const absl::string_view argument = absl::StripAsciiWhitespace(words.second);
  if (!argument.empty()) program.arguments.emplace_back(argument);
  program.arguments.push_back(program.script);
  program.path = std::string(words.first);
  if (!IsExecutable(program.path)) {
    return absl::NotFoundError(
        absl::StrCat(program.script, ": its interpreter \"", program.path, "\" is no program"));
  }
  return program;
}

}  // namespace capbroker::cli
