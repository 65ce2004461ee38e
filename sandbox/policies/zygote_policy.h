// The table of the zygote, which everything that it forks inherits.
//
// It allows what the tables of its children allow, and what it takes to make them: namespaces,
// mounts, ids, Landlock, filters, an exec. So it is no wall around a worker or a service, which
// have tables of their own. It keeps from the zygote, and from a service that nothing else
// confines, what no process of the tree does: other processes' memory, the kernel's modules,
// programs and keys, its clock.
//
// Every row is allowed whatever its arguments: such calls the kernel remembers, and no process
// below pays for them. What has no row fails with ENOSYS (DieAction::kRefuse).
//
// Runs in: the broker (compiling), the zygote.
#ifndef SANDBOX_POLICIES_ZYGOTE_POLICY_H_
#define SANDBOX_POLICIES_ZYGOTE_POLICY_H_

#include "sandbox/table/policy.h"

namespace capbroker::sandbox {

Policy ZygotePolicy();

}  // namespace capbroker::sandbox

#endif  // SANDBOX_POLICIES_ZYGOTE_POLICY_H_
