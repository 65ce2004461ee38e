#include "services/file/open_at.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "services/file/host_error.h"

namespace capbroker::file {
namespace {

constexpr int kMaxTries = 256;

uint64_t Flags(Resolve resolve) {
  switch (resolve) {
    case Resolve::kAnySymlinks:
      return RESOLVE_NO_MAGICLINKS;
    case Resolve::kNoSymlinks:
      return RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
    case Resolve::kBeneath:
      return RESOLVE_NO_MAGICLINKS | RESOLVE_BENEATH;
    case Resolve::kBeneathWithoutSymlinks:
      break;
  }
  return RESOLVE_NO_MAGICLINKS | RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
}

}  // namespace

absl::StatusOr<UniqueFd> OpenAt(FdRef directory, const std::string& path, uint64_t flags,
                                Resolve resolve, uint64_t mode) {
  open_how how = {};
  how.flags = flags | O_CLOEXEC;
  // Beside O_PATH the kernel takes only flags about resolution.
  if ((flags & O_PATH) == 0) how.flags |= O_NOCTTY;
  how.mode = mode;
  // INVARIANT(beneath-means-beneath): decided by the kernel at each component.
  how.resolve = Flags(resolve);
  int error = EAGAIN;
  for (int i = 0; i < kMaxTries && (error == EAGAIN || error == EINTR); ++i) {
    UniqueFd fd(
        static_cast<int>(syscall(SYS_openat2, directory.get(), path.c_str(), &how, sizeof how)));
    if (fd.valid()) return fd;
    error = errno;
  }
  return HostError(error);
}

}  // namespace capbroker::file
