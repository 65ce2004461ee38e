#include "base/open_how.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace capbroker {
namespace {

constexpr int kMaxTries = 256;

}  // namespace

Opened OpenPath(FdRef directory, const char* path, const OpenHow& how) {
  open_how argument = {};
  argument.flags = how.flags | O_CLOEXEC;
  // Beside O_PATH the kernel takes only flags about resolution.
  if ((how.flags & O_PATH) == 0) argument.flags |= O_NOCTTY;
  argument.mode = how.mode;
  // INVARIANT(beneath-means-beneath): decided by the kernel at each component.
  argument.resolve = how.resolve | RESOLVE_NO_MAGICLINKS;
  int error = EAGAIN;
  for (int i = 0; i < kMaxTries && (error == EAGAIN || error == EINTR); ++i) {
    UniqueFd fd(
        static_cast<int>(syscall(SYS_openat2, directory.get(), path, &argument, sizeof argument)));
    if (fd.valid()) return {std::move(fd), 0};
    error = errno;
  }
  return {UniqueFd(), error};
}

}  // namespace capbroker
