// openat2(2): opening with a say in how the path is resolved.
//
// Checking a path's text and then calling open(2) is the classic mistake: between
// the two, or by a symlink that was always there, the name comes to mean something
// else. Here the kernel is told where resolution must end, and holds
// to it at every component.
//
// Lives in: the service process. Thread-safe: functions without state.
#ifndef SERVICES_FILE_OPEN_AT_H_
#define SERVICES_FILE_OPEN_AT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace capbroker::file {

// Which symlinks are followed, and whether resolution may leave the directory
// that it starts in. None of them follows a magic link of procfs.
enum class Resolve {
  kAnySymlinks,  // for ways that the application named
  kNoSymlinks,   // of ways, also the last component
  kBeneath,      // symlinks, as long as no step leaves the directory
  kBeneathWithoutSymlinks,
};

// openat2(directory, path, flags | O_CLOEXEC | O_NOCTTY). A rename or mount
// anywhere on the host can make the kernel give up on ".."; it is asked again a
// bounded number of times. Errors: HostError().
absl::StatusOr<UniqueFd> OpenAt(FdRef directory, const std::string& path, uint64_t flags,
                                Resolve resolve, uint64_t mode = 0);

}  // namespace capbroker::file

#endif  // SERVICES_FILE_OPEN_AT_H_
