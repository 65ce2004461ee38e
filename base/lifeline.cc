#include "base/lifeline.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/errno_status.h"

namespace capbroker {

absl::StatusOr<Lifeline> MakeLifeline() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return ErrnoToStatus(errno, "make lifeline");
  }
  return Lifeline{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

absl::Status DieWithLifeline(UniqueFd held) {
  // Never closed: the process is to die with the other end as long as it lives.
  const int fd = std::move(held).Release();
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETOWN, getpid()) != 0 || fcntl(fd, F_SETSIG, SIGKILL) != 0 ||
      fcntl(fd, F_SETFL, flags | O_ASYNC) != 0) {
    return ErrnoToStatus(errno, "arm lifeline");
  }
  // INVARIANT(no-orphans): a close before the arming sent no signal.
  pollfd p = {fd, 0, 0};
  if (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) {
    kill(getpid(), SIGKILL);
  }
  return absl::OkStatus();
}

}  // namespace capbroker
