// The descriptors of a process of the worker, looked at from outside.
//
// Lives in: the supervisor.
#ifndef SANDBOX_SUPERVISOR_WORKER_DESCRIPTORS_H_
#define SANDBOX_SUPERVISOR_WORKER_DESCRIPTORS_H_

#include <sys/types.h>

#include "base/open_how.h"

namespace capbroker::sandbox {

// A duplicate of the descriptor that has this number for `thread`, any thread of the worker.
Opened DuplicateFrom(pid_t thread, int descriptor);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_WORKER_DESCRIPTORS_H_
