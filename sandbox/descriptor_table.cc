#include "sandbox/descriptor_table.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <climits>

#include "base/errno_status.h"

namespace capbroker::sandbox {
namespace {

// Closes [first, end).
bool CloseUpTo(unsigned first, unsigned end) {
  return first >= end || syscall(SYS_close_range, first, end - 1, 0) == 0;
}

// The address in sendmsg's msg_name is out of a filter's sight, so the kind of
// socket must ignore it.
bool SendsOnlyToItsPeer(FdRef socket) {
  int domain = 0, type = 0;
  socklen_t size = sizeof domain;
  if (getsockopt(socket.get(), SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0) return false;
  size = sizeof type;
  if (getsockopt(socket.get(), SOL_SOCKET, SO_TYPE, &type, &size) != 0) return false;
  return type == SOCK_STREAM || (type == SOCK_SEQPACKET && domain == AF_UNIX);
}

using Stated = std::array<bool, kPlacesEnd>;

StepResult Arrange(const std::vector<Placement>& placements, Stated& stated) {
  // First all of them out of the way, so that no place is taken by what is
  // still to be placed.
  std::vector<Placement> placed(kPlacesEnd);
  for (const Placement& placement : placements) {
    const int away = fcntl(placement.from, F_DUPFD_CLOEXEC, kPlacesEnd);
    if (away < 0) return FailedWithErrno(Step::kDescriptors);
    placed[static_cast<size_t>(placement.to)] = {away, placement.to, placement.close_on_exec};
  }
  unsigned next = 0;  // everything below is arranged
  for (const Placement& placement : placed) {
    if (placement.to < 0) continue;
    const unsigned to = static_cast<unsigned>(placement.to);
    if (!CloseUpTo(next, to) ||
        dup3(placement.from, placement.to, placement.close_on_exec ? O_CLOEXEC : 0) < 0) {
      return FailedWithErrno(Step::kDescriptors);
    }
    next = to + 1;
  }
  if (!CloseUpTo(next, UINT_MAX)) return FailedWithErrno(Step::kDescriptors);
  for (const Placement& placement : placements) stated[static_cast<size_t>(placement.to)] = true;
  return Done();
}

}  // namespace

absl::Status CheckGrantable(FdRef descriptor) {
  struct stat status;
  const int flags = fcntl(descriptor.get(), F_GETFL);
  if (flags < 0 || fstat(descriptor.get(), &status) != 0) {
    return ErrnoToStatus(errno, "look at a worker's descriptor");
  }
  if ((flags & O_PATH) != 0) return absl::InvalidArgumentError("descriptor for a worker: O_PATH");
  if (S_ISDIR(status.st_mode)) {
    return absl::InvalidArgumentError("descriptor for a worker: a directory");
  }
  if (S_ISBLK(status.st_mode)) {
    return absl::InvalidArgumentError("descriptor for a worker: a block device");
  }
  if (S_ISSOCK(status.st_mode) && !SendsOnlyToItsPeer(descriptor)) {
    return absl::InvalidArgumentError(
        "descriptor for a worker: a socket that can send to any address");
  }
  return absl::OkStatus();
}

StepResult ArrangeDescriptors(const std::vector<Placement>& placements) {
  Stated stated = {};
  if (StepResult result = Arrange(placements, stated); !result.ok()) return result;
  // INVARIANT(fail-closed): what is open is what was stated.
  for (int number = 0; number < kPlacesEnd; ++number) {
    if ((fcntl(number, F_GETFD) >= 0) != stated[static_cast<size_t>(number)]) {
      return FailedWith(Step::kDescriptors, EBADF);
    }
  }
  return Done();
}

StepResult RearrangeDescriptors(const std::vector<Placement>& placements) {
  Stated stated = {};
  if (StepResult result = Arrange(placements, stated); !result.ok()) return result;
  std::vector<pollfd> numbers;
  for (int number = 0; number < kPlacesEnd; ++number) numbers.push_back({number, 0, 0});
  if (poll(numbers.data(), numbers.size(), 0) < 0) return FailedWithErrno(Step::kDescriptors);
  // INVARIANT(fail-closed): the same.
  for (const pollfd& number : numbers) {
    const bool open = (number.revents & POLLNVAL) == 0;
    if (open != stated[static_cast<size_t>(number.fd)]) {
      return FailedWith(Step::kDescriptors, EBADF);
    }
  }
  return Done();
}

}  // namespace capbroker::sandbox
