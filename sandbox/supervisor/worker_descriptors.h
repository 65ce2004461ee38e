// The descriptors of a process of the worker, looked at from outside.
//
// Where pidfd_getfd(2) is allowed the supervisor gets a duplicate. Where a container's filter
// forbids it, /proc/THREAD/fd gives a *handle*: an O_PATH descriptor of exactly what the worker's
// descriptor refers to at that moment. The kernel lets a supervisor have either for the same
// reason: same ids, an outer Landlock domain, a worker that is dumpable.
//
// TRUST(worker): its threads exchange descriptors at any moment. So each is looked at once, and
// what is decided is decided on what was found there. A handle says nothing of the
// descriptor's rights (its flags are in files of /proc that Landlock keeps closed), and opened
// again by its handle, a file that the worker may only read could be written. So nothing is done by
// a handle: what it is of is known again by device and inode, and what is changed is opened by
// name, beneath a grant (granted_names.h).
//
// Lives in: the supervisor.
#ifndef SANDBOX_SUPERVISOR_WORKER_DESCRIPTORS_H_
#define SANDBOX_SUPERVISOR_WORKER_DESCRIPTORS_H_

#include <sys/types.h>

#include "absl/functional/function_ref.h"
#include "base/open_how.h"
#include "base/unique_fd.h"
#include "sandbox/supervisor/descriptor_sight.h"

namespace capbroker::sandbox {

// Immutable. Of all methods `thread` is any thread of the worker, and the error EBADF if it has no
// such descriptor.
class WorkerDescriptors {
 public:
  // Caller: has its ids, and not yet its table. `init`: the parent, with which it is to end.
  WorkerDescriptors(DescriptorSight sight, pid_t init);

  bool sees() const { return sight_ != DescriptorSight::kNone; }
  // Whether what is seen is the descriptor itself, with its rights.
  bool sees_rights() const { return sight_ == DescriptorSight::kDuplicates; }

  // What the descriptor refers to, to be looked at: a duplicate or a handle. EPERM: nothing is
  // seen.
  Opened Look(pid_t thread, int descriptor) const;
  // Whether there is one that is open for writing, where only handles are had. For who tells the
  // worker about its own: a moment later it may be another one.
  bool MayWrite(pid_t thread, int descriptor) const;
  // Opens a sealed file without a name, as a supervisor makes them, to read it. Of anything else
  // EBADF.
  Opened OpenSealed(pid_t thread, int descriptor) const;

 private:
  // Of a process, to the file system.
  struct FileIds {
    uid_t uid;
    gid_t gid;
  };
  class AsWorker;

  static void Take(FileIds ids);
  // `flags` beside O_PATH.
  Opened OpenHandle(pid_t thread, int descriptor, uint64_t flags) const;

  const DescriptorSight sight_;
  const pid_t init_;
  const FileIds own_, workers_;
  UniqueFd processes_;          // /proc
  uint64_t memory_device_ = 0;  // of files without a name
};

// A duplicate of the descriptor. For callers that are there only where it can be had.
Opened DuplicateFrom(pid_t thread, int descriptor);

// Whether these threads of the worker share their descriptors, as those of one process do.
bool HaveTheSameDescriptors(pid_t thread, pid_t other);
// Calls `look` with a duplicate of each of `thread`'s descriptors up to `highest`. False if there
// is no such thread of the worker.
bool LookAtDescriptors(pid_t thread, int highest, absl::FunctionRef<void(FdRef)> look);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_WORKER_DESCRIPTORS_H_
