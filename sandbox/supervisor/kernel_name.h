// uname(2) where the worker has no UTS namespace: with the name that its host would have in one.
//
// Lives in: the supervisor.
#ifndef SANDBOX_SUPERVISOR_KERNEL_NAME_H_
#define SANDBOX_SUPERVISOR_KERNEL_NAME_H_

#include "sandbox/supervisor/notification.h"

namespace capbroker::sandbox {

Answer TellKernelName(const Notification& call);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_KERNEL_NAME_H_
