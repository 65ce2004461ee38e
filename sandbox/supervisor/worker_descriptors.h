// The descriptors of a process of the worker, looked at from outside.
//
// Lives in: the supervisor.
#ifndef SANDBOX_SUPERVISOR_WORKER_DESCRIPTORS_H_
#define SANDBOX_SUPERVISOR_WORKER_DESCRIPTORS_H_

#include <sys/types.h>

#include "absl/functional/function_ref.h"
#include "base/open_how.h"
#include "base/unique_fd.h"

namespace capbroker::sandbox {

// A duplicate of the descriptor that has this number for `thread`, any thread of the worker.
Opened DuplicateFrom(pid_t thread, int descriptor);

// Whether these threads of the worker share their descriptors, as those of one process do.
bool HaveTheSameDescriptors(pid_t thread, pid_t other);
// Calls `look` with a duplicate of each of `thread`'s descriptors up to `highest`. False if there
// is no such thread of the worker.
bool LookAtDescriptors(pid_t thread, int highest, absl::FunctionRef<void(FdRef)> look);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_WORKER_DESCRIPTORS_H_
