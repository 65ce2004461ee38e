#include "sandbox/supervisor/worker_descriptors.h"

#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/unique_fd.h"

namespace capbroker::sandbox {
namespace {

constexpr unsigned kThread = O_EXCL;  // PIDFD_THREAD, of Linux 6.9
// How far a thread's number may be from that of its process.
constexpr pid_t kFarthest = 4096;

UniqueFd OpenPidFd(pid_t pid, unsigned flags) {
  return UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid, flags)));
}

// Older kernels open processes alone. The one that a thread is of has the same descriptors, and
// was there before it.
UniqueFd OpenProcessOf(pid_t thread) {
  UniqueFd process = OpenPidFd(thread, 0);
  if (!process.valid() && errno == ESRCH) return process;
  const pid_t last = std::max<pid_t>(2, thread - kFarthest);
  for (pid_t pid = thread - 1; !process.valid() && pid >= last; --pid) {
    if (HaveTheSameDescriptors(thread, pid)) process = OpenPidFd(pid, 0);
  }
  return process;
}

UniqueFd OpenOwner(pid_t thread) {
  UniqueFd owner = OpenPidFd(thread, kThread);
  return owner.valid() ? std::move(owner) : OpenProcessOf(thread);
}

}  // namespace

bool HaveTheSameDescriptors(pid_t thread, pid_t other) {
  return syscall(SYS_kcmp, thread, other, KCMP_FILES, 0, 0) == 0;
}

bool LookAtDescriptors(pid_t thread, int highest, absl::FunctionRef<void(FdRef)> look) {
  const UniqueFd owner = OpenOwner(thread);
  if (!owner.valid()) return false;
  for (int descriptor = 0; descriptor <= highest; ++descriptor) {
    const UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_getfd, owner.get(), descriptor, 0)));
    if (fd.valid()) {
      look(fd);
    } else if (errno != EBADF) {
      return false;  // it has ended meanwhile
    }
  }
  return true;
}

Opened DuplicateFrom(pid_t thread, int descriptor) {
  const UniqueFd owner = OpenOwner(thread);
  if (!owner.valid()) return {UniqueFd(), ESRCH};
  UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_getfd, owner.get(), descriptor, 0)));
  const int error = fd.valid() ? 0 : errno;
  return {std::move(fd), error};
}

}  // namespace capbroker::sandbox
