#include "base/pid_fd.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/errno_status.h"

namespace capbroker {
namespace {

constexpr int kPidFdType = 3;          // P_PIDFD
constexpr int kAnyClone = 0x40000000;  // __WALL: children with any exit signal

absl::StatusOr<std::optional<ProcessEnd>> WaitOn(FdRef fd, int options) {
  siginfo_t info = {};
  ProcessEnd end;
  // The system call itself: the C library's waitid() does not return usage.
  while (syscall(SYS_waitid, kPidFdType, fd.get(), &info, options | WEXITED | kAnyClone,
                 &end.usage) != 0) {
    if (errno == EINTR) continue;
    if (errno == ECHILD) return absl::NotFoundError("wait: not a child");
    return ErrnoToStatus(errno, "wait for process");
  }
  if (info.si_pid == 0) return std::nullopt;
  if (info.si_code == CLD_EXITED) {
    end.exit_code = info.si_status;
  } else {
    end.signal = info.si_status;
  }
  return end;
}

// In a child: as CLONE_CLEAR_SIGHAND does it.
void ClearHandlers() {
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction action = {};
    if (sigaction(signal, nullptr, &action) != 0 || action.sa_handler == SIG_IGN) continue;
    action = {};
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, nullptr);
  }
}

// The older call, whose lower half of flags has no CLONE_CLEAR_SIGHAND and no CLONE_INTO_CGROUP. It
// has the place for the descriptor where its parent's thread id would be.
long CloneWithoutClone3(const clone_args& args, int* pidfd) {
  const bool clears = (args.flags & CLONE_CLEAR_SIGHAND) != 0;
  const bool moves = (args.flags & CLONE_INTO_CGROUP) != 0;
  constexpr uint64_t kUpperHalf = CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP;
  const uint64_t flags = (args.flags & ~kUpperHalf) | args.exit_signal;
  // Opened here: what counts are the rights and the cgroup namespace of who has opened it.
  UniqueFd entrance;
  if (moves) {
    entrance.Reset(openat(static_cast<int>(args.cgroup), "cgroup.procs", O_WRONLY | O_CLOEXEC));
    if (!entrance.valid()) return -1;
  }
  // Until they are cleared no handler may run in the child.
  sigset_t all, before;
  sigfillset(&all);
  if (clears) sigprocmask(SIG_SETMASK, &all, &before);
  const long pid = syscall(SYS_clone, flags, nullptr, pidfd, nullptr, nullptr);
  const int error = errno;
  if (clears && pid == 0) ClearHandlers();
  if (clears) sigprocmask(SIG_SETMASK, &before, nullptr);
  // INVARIANT(fail-closed): nothing of it runs elsewhere.
  if (moves && pid == 0 && write(entrance.get(), "0", 1) != 1) _exit(1);
  errno = error;
  return pid;
}

}  // namespace

absl::StatusOr<PidFd> PidFd::Open(pid_t pid) {
  UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!fd.valid()) return ErrnoToStatus(errno, "open process descriptor");
  return PidFd(std::move(fd));
}

absl::Status PidFd::Signal(int signal) const {
  if (syscall(SYS_pidfd_send_signal, fd_.get(), signal, nullptr, 0) == 0 || errno == ESRCH) {
    return absl::OkStatus();
  }
  return ErrnoToStatus(errno, "signal process");
}

absl::StatusOr<ProcessEnd> PidFd::Wait() const {
  absl::StatusOr<std::optional<ProcessEnd>> end = WaitOn(fd_, 0);
  if (!end.ok()) return end.status();
  return **end;
}

absl::StatusOr<std::optional<ProcessEnd>> PidFd::TryWait() const { return WaitOn(fd_, WNOHANG); }

absl::StatusOr<Cloned> CloneProcess(const CloneOptions& options) {
  int pidfd = -1;
  clone_args args = {};
  args.flags = options.flags | CLONE_PIDFD;
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  args.exit_signal = static_cast<uint64_t>(options.exit_signal);
  if (options.cgroup.valid()) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(options.cgroup.get());
  }
  long pid = syscall(SYS_clone3, &args, sizeof args);
  // Containers answer so, because no filter can see its flags.
  if (pid < 0 && errno == ENOSYS) pid = CloneWithoutClone3(args, &pidfd);
  if (pid < 0) return ErrnoToStatus(errno, "clone process");
  Cloned cloned;
  cloned.pid = static_cast<pid_t>(pid);
  if (pid != 0) cloned.process = PidFd(UniqueFd(pidfd));
  return cloned;
}

}  // namespace capbroker
