#include "base/unique_fd.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/errno_status.h"

namespace capbroker {

void UniqueFd::Reset(int fd) {
  if (fd_ >= 0) {
    const int saved = errno;
    // Never retried: on Linux the descriptor is gone even after EINTR.
    close(fd_);
    errno = saved;
  }
  fd_ = fd;
}

absl::StatusOr<UniqueFd> Duplicate(FdRef fd) {
  UniqueFd copy(fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) return ErrnoToStatus(errno, "duplicate descriptor");
  return copy;
}

}  // namespace capbroker
