// The process that answers for a worker what its table asks for (policy.h's Ask).
//
//   zygote ── init ─┬─ supervisor
//                   └─ worker
//
// One for each worker that has grants. It is forked by the init after the Landlock domain of
// the grants is entered and before the worker's nested one is, so its domain is the worker's
// parent: it can read the worker's memory, and reach no file that was not granted. In the
// same namespaces, without capabilities, under a table of its own, and not dumpable, so
// that the worker cannot look into it. Where workers have ids of their own it has them as
// real ids, and as effective ones those of the zygote: it opens what the zygote's user can open.
//
// It holds the worker's listener, the roots of the grants, the channels to who connects for the
// worker (outside.h), and a socket to the init. A call that dies is sent to the init, which kills
// and reports as ever; the init keeps a duplicate of the listener, so that no call goes on when the
// supervisor ends. Its end is the worker's end.
//
// What the worker can do to it: keep it busy with one call at a time, and use up the CPU time that
// is the worker's bound, which holds for the supervisor by itself as well; open a FIFO or a slow
// file system, on which it waits. It waits for nobody else.
//
// Lives in: a child of the init, one per worker with grants.
#ifndef SANDBOX_SUPERVISOR_SUPERVISOR_H_
#define SANDBOX_SUPERVISOR_SUPERVISOR_H_

#include <linux/seccomp.h>
#include <sys/types.h>

#include <vector>

#include "base/unique_fd.h"
#include "sandbox/layers/confinement.h"
#include "sandbox/resource_bounds.h"
#include "sandbox/step_result.h"
#include "sandbox/supervisor/descriptor_sight.h"
#include "sandbox/supervisor/granted_places.h"
#include "sandbox/supervisor/supervision.h"
#include "sandbox/table/filter_compiler.h"
#include "sandbox/table/policy.h"

namespace capbroker::sandbox {

// What a supervisor tells its init.
struct SupervisorWord {
  StepResult failure;      // of its start,
  seccomp_data violation;  // or, if it did not fail, the worker's
};

// What a worker tells its supervisor before its own code runs, with the listener; it then waits
// for a byte.
struct WorkerIntroduction {
  pid_t worker;
};

struct SupervisorPlan {
  const CompiledFilter* table = nullptr;          // of SupervisorPolicy(), for the same sight
  const CompiledFilter* workers_table = nullptr;  // tells what is asked for and what dies
  const Supervision* supervision = nullptr;       // but its files, which are walked already
  std::vector<ResourceLimit> limits;              // the worker's; that of CPU time holds here, too
  int working_place_number = -1;                  // the worker's descriptor (working_place.h)
  DescriptorSight sight = DescriptorSight::kDuplicates;
};

struct SupervisorTable {
  bool connects = false;  // it has somebody outside
  DescriptorSight sight = DescriptorSight::kDuplicates;
};

// The supervisor's own table.
Policy SupervisorPolicy(const SupervisorTable& table = {});

// Caller: the child that the init has just forked. `to_init` and `to_worker` are seqpacket
// sockets.
[[noreturn]] void RunSupervisor(const SupervisorPlan& plan, const Confinement& confinement,
                                std::vector<GrantedPlace> places, FdRef to_init, FdRef to_worker,
                                pid_t init);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_SUPERVISOR_H_
