// Processes by descriptor. A pid can be reused between looking and acting; a
// pidfd (pidfd_open(2)) always means the process it was made for.
#ifndef BASE_PID_FD_H_
#define BASE_PID_FD_H_

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace capbroker {

// How a process ended, and what it had used.
struct ProcessEnd {
  int exit_code = 0;  // when signal is 0
  int signal = 0;     // the signal that killed it, or 0
  rusage usage = {};
};

// Owns a pidfd. Closing it neither kills nor reaps.
class PidFd {
 public:
  PidFd() = default;
  explicit PidFd(UniqueFd fd) : fd_(std::move(fd)) {}

  static absl::StatusOr<PidFd> Open(pid_t pid);

  FdRef fd() const { return fd_; }
  bool valid() const { return fd_.valid(); }
  UniqueFd Take() && { return std::move(fd_); }

  // Sends `signal`. A process that is gone already is not an error.
  absl::Status Signal(int signal) const;

  // Waits for the end of a child of the caller and reaps it. Sees children with
  // any exit signal, also 0. NOT_FOUND: not a child, or reaped already.
  absl::StatusOr<ProcessEnd> Wait() const;
  // The same without waiting: nothing while the child runs.
  absl::StatusOr<std::optional<ProcessEnd>> TryWait() const;

 private:
  UniqueFd fd_;
};

// What clone3(2) is asked for beyond a plain fork.
struct CloneOptions {
  uint64_t flags = 0;   // CLONE_NEW*, CLONE_PARENT, ...; CLONE_PIDFD is added
  FdRef cgroup = {};    // the directory of one that the child begins in, if it is not the parent's
  int exit_signal = 0;  // 0: the parent gets no SIGCHLD and wait() does not see it
};

struct Cloned {
  pid_t pid = 0;  // 0 in the child
  PidFd process;  // in the parent
};

// clone3 as a fork: the child goes on with a copy of the address space. Only
// for processes with a single thread: the C library's atfork handlers don't run.
absl::StatusOr<Cloned> CloneProcess(const CloneOptions& options);

}  // namespace capbroker

#endif  // BASE_PID_FD_H_
