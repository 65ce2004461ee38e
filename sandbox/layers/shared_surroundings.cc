#include "sandbox/layers/shared_surroundings.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/pid_fd.h"
#include "base/status_macros.h"
#include "sandbox/layers/root_view.h"

namespace capbroker::sandbox {
namespace {

absl::StatusOr<UniqueFd> Open(const std::string& path, int flags) {
  UniqueFd fd(open(path.c_str(), flags | O_CLOEXEC));
  if (!fd.valid()) return ErrnoToStatus(errno, absl::StrCat("surroundings: open ", path));
  return fd;
}

// What the child found when it made them.
struct Made {
  StepResult result;
  struct stat root;
};

// The child that makes them. It ends when nobody needs it any more.
[[noreturn]] void BeFirstInside(int socket) {
  Made made = {.result = EnterRoot({}), .root = {}};
  if (made.result.ok() && stat("/", &made.root) != 0) {
    made.result = FailedWithErrno(Step::kRootMount);
  }
  char end;
  if (send(socket, &made, sizeof made, MSG_NOSIGNAL) > 0) (void)!recv(socket, &end, 1, 0);
  _exit(0);
}

}  // namespace

absl::StatusOr<SharedSurroundings> SharedSurroundings::Make() {
  SharedSurroundings made;
  CB_ASSIGN_OR_RETURN(made.own_.mounts, Open("/proc/self/ns/mnt", O_RDONLY));
  CB_ASSIGN_OR_RETURN(made.own_.network, Open("/proc/self/ns/net", O_RDONLY));
  CB_ASSIGN_OR_RETURN(made.own_root_, Open("/", O_PATH | O_DIRECTORY));
  CB_ASSIGN_OR_RETURN(made.own_directory_, Open(".", O_PATH | O_DIRECTORY));
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return ErrnoToStatus(errno, "surroundings: socket");
  }
  UniqueFd ours(ends[0]), childs(ends[1]);
  CB_ASSIGN_OR_RETURN(Cloned child, CloneProcess({.flags = CLONE_NEWNS | CLONE_NEWNET}));
  if (child.pid == 0) {
    ours.Reset();  // whose end of file ends the child
    BeFirstInside(childs.get());
  }
  childs.Reset();
  Made told = {.result = FailedWith(Step::kRootMount, ECHILD), .root = {}};
  (void)!recv(ours.get(), &told, sizeof told, 0);
  absl::Status status;
  if (told.result.ok()) {
    const auto open_both = [&] {
      const std::string names = absl::StrCat("/proc/", child.pid, "/ns/");
      CB_ASSIGN_OR_RETURN(made.shared_.mounts, Open(names + "mnt", O_RDONLY));
      CB_ASSIGN_OR_RETURN(made.shared_.network, Open(names + "net", O_RDONLY));
      return absl::OkStatus();
    };
    status = open_both();
  } else {
    status = ErrnoToStatus(told.result.error_number, "surroundings: make");
  }
  ours.Reset();
  (void)child.process.Signal(SIGKILL);
  CB_RETURN_IF_ERROR(child.process.Wait().status());
  CB_RETURN_IF_ERROR(status);
  made.root_device_ = told.root.st_dev;
  made.root_number_ = told.root.st_ino;
  CB_RETURN_IF_ERROR(made.Try());
  return made;
}

// In a child: not everybody who can go there can come back, and in a chroot another root was
// exchanged than that of the namespace.
absl::Status SharedSurroundings::Try() const {
  CB_ASSIGN_OR_RETURN(Cloned child, CloneProcess({}));
  if (child.pid == 0) {
    const bool inside = Enter().ok() && CheckInside().ok();
    Leave();
    _exit(inside ? 0 : 1);
  }
  CB_ASSIGN_OR_RETURN(const ProcessEnd end, child.process.Wait());
  if (end.signal == 0 && end.exit_code == 0) return absl::OkStatus();
  return absl::FailedPreconditionError("surroundings: cannot be entered and left");
}

absl::Status SharedSurroundings::Enter() const {
  if (setns(shared_.network.get(), CLONE_NEWNET) == 0 &&
      setns(shared_.mounts.get(), CLONE_NEWNS) == 0) {
    return absl::OkStatus();
  }
  const int error = errno;
  Leave();
  return ErrnoToStatus(error, "surroundings: enter");
}

void SharedSurroundings::Leave() const {
  // A namespace is entered at its root, which need not be this process's.
  if (setns(own_.mounts.get(), CLONE_NEWNS) != 0 || setns(own_.network.get(), CLONE_NEWNET) != 0 ||
      fchdir(own_root_.get()) != 0 || chroot(".") != 0 || fchdir(own_directory_.get()) != 0) {
    _exit(1);  // What it would start next would be somewhere else.
  }
}

StepResult SharedSurroundings::CheckInside() const {
  struct stat root;
  if (stat("/", &root) != 0) return FailedWithErrno(Step::kRootMount);
  const bool inside = root.st_dev == root_device_ && root.st_ino == root_number_;
  return inside ? Done() : FailedWith(Step::kRootMount, EXDEV);
}

}  // namespace capbroker::sandbox
