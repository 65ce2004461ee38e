// The file that a command line means, as a shell and the kernel find it.
#ifndef CLI_PROGRAM_FILE_H_
#define CLI_PROGRAM_FILE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace capbroker::cli {

struct ProgramFile {
  std::string path;  // of what is executed
  // Before the program's own: of a script, what its "#!" line says, and its path.
  std::vector<std::string> arguments;
  std::string script;  // absolute; empty: it is none
};

// `name` is searched for in $PATH unless it has a slash. NOT_FOUND, PERMISSION_DENIED.
absl::StatusOr<ProgramFile> FindProgram(const std::string& name, const char* search_path);

// `path` as an absolute one in normal form, by its text; relative ones start at `directory`.
std::string AbsolutePath(const std::string& path, const std::string& directory);

// The working directory. Fails if it was removed.
absl::StatusOr<std::string> WorkingDirectory();

}  // namespace capbroker::cli

#endif  // CLI_PROGRAM_FILE_H_
