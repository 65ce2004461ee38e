// What a supervised worker may open by name.
//
//   .files = {FileGrant::ReadTree("/srv/pages"), FileGrant::ReadFile("/etc/hosts")}
//
// A grant is a path as the worker will write it. Its symlinks are followed once, when
// the worker is started, and mean what they mean to whoever starts it; what is found then is
// what is granted, also when the path comes to lead elsewhere. Beneath a tree each
// name is looked up anew, and symlinks are followed as long as they stay beneath it; absolute
// ones do not.
//
// Grants add up: of several that cover a name, each gives what it gives.
//
// Values only, any process.
#ifndef BASE_FILE_GRANT_H_
#define BASE_FILE_GRANT_H_

#include <cstdint>
#include <string>
#include <utility>

namespace capbroker {

// Bits, so that a set of them is an unsigned.
enum FileAccess : unsigned {
  kReadFiles = 1,    // and list directories
  kWriteFiles = 2,   // and truncate them
  kCreateFiles = 4,  // regular files and directories; and remove, rename and date them
  kRunFiles = 8,     // as programs, where the worker may have processes
};

struct FileGrant {
  enum class Extent {
    kFile,  // this file and nothing else; the only way to a device or a file of procfs
    kTree,  // a directory and what is beneath it
  };

  static FileGrant ReadFile(std::string path) {
    return {std::move(path), Extent::kFile, kReadFiles};
  }
  static FileGrant WriteFile(std::string path) {
    return {std::move(path), Extent::kFile, kReadFiles | kWriteFiles};
  }
  static FileGrant ReadTree(std::string path) {
    return {std::move(path), Extent::kTree, kReadFiles};
  }
  static FileGrant WriteTree(std::string path) {
    return {std::move(path), Extent::kTree, kReadFiles | kWriteFiles | kCreateFiles};
  }

  // For Supervision::processes: a program, or all programs beneath a directory.
  static FileGrant RunFile(std::string path) {
    return {std::move(path), Extent::kFile, kReadFiles | kRunFiles};
  }
  static FileGrant RunTree(std::string path) {
    return {std::move(path), Extent::kTree, kReadFiles | kRunFiles};
  }

  friend bool operator==(const FileGrant&, const FileGrant&) = default;

  std::string path;  // absolute, no "." or "..", no slash at the end
  Extent extent = Extent::kFile;
  unsigned access = 0;
};

// What a worker is told of a name that is not granted.
enum class Refusal {
  // ENOTCAPABLE (capability_errno.h): what it is.
  kNotCapable,
  // EACCES. For code that gives up at an errno which it does not know; glibc's resolver does when
  // it looks for /etc/resolv.conf.
  kAccess,
  // As if it were not there: ENOENT, and EACCES for what would be written. What programs are used
  // to
  // best.
  kAbsent,
};

// How many one worker can have.
inline constexpr int kMostGrants = 64;

}  // namespace capbroker

#endif  // BASE_FILE_GRANT_H_
