#include "sandbox/supervisor/worker_descriptors.h"

#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/openat2.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

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

// From /proc, of which the links are followed that are none: what base/open_how.h never does.
Opened OpenInProc(FdRef processes, const char* path, uint64_t flags) {
  open_how how = {};
  how.flags = flags | O_CLOEXEC;
  UniqueFd fd(static_cast<int>(syscall(SYS_openat2, processes.get(), path, &how, sizeof how)));
  const int error = fd.valid() ? 0 : errno;
  return {std::move(fd), error};
}

uint64_t MemoryDevice() {
  const UniqueFd file(memfd_create("device", MFD_CLOEXEC));
  struct stat status = {};
  return file.valid() && fstat(file.get(), &status) == 0 ? status.st_dev : 0;
}

}  // namespace

// /proc shows a process to who has its ids as those for files, which here are the zygote's.
class WorkerDescriptors::AsWorker {
 public:
  explicit AsWorker(const WorkerDescriptors& supervisor)
      : supervisor_(supervisor),
        changes_(supervisor.own_.uid != supervisor.workers_.uid ||
                 supervisor.own_.gid != supervisor.workers_.gid) {
    if (changes_) Take(supervisor_.workers_);
  }
  AsWorker(const AsWorker&) = delete;
  AsWorker& operator=(const AsWorker&) = delete;
  ~AsWorker() {
    if (!changes_) return;
    Take(supervisor_.own_);
    // Each change of ids takes the death signal back, and makes the process dumpable or not by a
    // setting of the host.
    const bool kept =
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0;
    // INVARIANT(no-orphans): the init may have died meanwhile.
    if (!kept || getppid() != supervisor_.init_) _exit(1);
  }

 private:
  const WorkerDescriptors& supervisor_;
  const bool changes_;
};

WorkerDescriptors::WorkerDescriptors(DescriptorSight sight, pid_t init)
    : sight_(sight), init_(init), own_{geteuid(), getegid()}, workers_{getuid(), getgid()} {
  if (sight != DescriptorSight::kHandles) return;
  processes_ = OpenProcesses();
  memory_device_ = MemoryDevice();
}

void WorkerDescriptors::Take(FileIds ids) {
  setfsgid(ids.gid);
  setfsuid(ids.uid);
  // INVARIANT(fail-closed): they only tell what was before.
  if (static_cast<gid_t>(setfsgid(ids.gid)) != ids.gid ||
      static_cast<uid_t>(setfsuid(ids.uid)) != ids.uid) {
    _exit(1);
  }
}

// TRUST(worker): the number. The kernel goes from it to the object, and nowhere else.
Opened WorkerDescriptors::OpenHandle(pid_t thread, int descriptor, uint64_t flags) const {
  char path[40];
  std::snprintf(path, sizeof path, "%d/fd/%d", thread, descriptor);
  const AsWorker as_worker(*this);
  Opened handle = OpenInProc(processes_, path, O_PATH | flags);
  if (handle.error_number == ENOENT) handle.error_number = EBADF;
  if (handle.error_number == EACCES) handle.error_number = EPERM;
  return handle;
}

Opened WorkerDescriptors::Look(pid_t thread, int descriptor) const {
  switch (sight_) {
    case DescriptorSight::kNone:
      break;
    case DescriptorSight::kHandles:
      return OpenHandle(thread, descriptor, 0);
    case DescriptorSight::kDuplicates:
      return DuplicateFrom(thread, descriptor);
  }
  return {UniqueFd(), EPERM};
}

bool WorkerDescriptors::MayWrite(pid_t thread, int descriptor) const {
  // The permissions of the link itself say it.
  const Opened link = OpenHandle(thread, descriptor, O_NOFOLLOW);
  struct stat status;
  return link.fd.valid() && fstat(link.fd.get(), &status) == 0 && (status.st_mode & S_IWUSR) != 0;
}

Opened WorkerDescriptors::OpenSealed(pid_t thread, int descriptor) const {
  constexpr int kSeals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
  Opened opened = Look(thread, descriptor);
  if (!opened.fd.valid()) return opened;
  if (sight_ == DescriptorSight::kHandles) {
    // Nothing else is opened by a handle: not a FIFO, not a device, no file that has a name.
    struct stat status;
    if (fstat(opened.fd.get(), &status) != 0 || !S_ISREG(status.st_mode) ||
        status.st_dev != memory_device_) {
      return {UniqueFd(), EBADF};
    }
    char path[40];
    std::snprintf(path, sizeof path, "self/fd/%d", opened.fd.get());
    opened = OpenInProc(processes_, path, O_RDONLY | O_NONBLOCK);
    if (!opened.fd.valid()) return opened;
  }
  const int seals = fcntl(opened.fd.get(), F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals) return {UniqueFd(), EBADF};
  return opened;
}

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
