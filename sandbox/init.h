// The parent of one worker: PID 1 of its PID namespace, and the only process
// that can end it, hear of its violations and reap it.
//
// It enters the shared layers, forks the worker, gets the violation listener
// from it, and then only waits: for the worker's end, for a violation (which it
// never answers: it reports the call and kills), and for the end of the
// lifeline, by which signals for the worker come, too. It allocates nothing then, runs under a
// table of a dozen system calls, and holds the report socket, the lifeline and the listener.
//
// For a worker with grants it also forks the supervisor (supervisor.h), which then hears of
// violations and passes them on. The init keeps the listener without using it: calls of the
// worker stay stopped, whatever becomes of the supervisor, until the worker is killed.
//
// The listener travels from worker to init before the worker's own code runs,
// so the worker's table needs no row for the init. The worker cannot touch the
// init: it has no signal, no ptrace and no /proc, the init is in an outer
// Landlock domain and not dumpable, and as PID 1 it is immune. Without a PID
// namespace the rest still holds, and instead of the namespace's death the
// worker gets SIGKILL as its parent-death signal.
//
// Lives in: a child of the zygote, one per worker.
#ifndef SANDBOX_INIT_H_
#define SANDBOX_INIT_H_

#include <sys/types.h>

#include <vector>

#include "base/unique_fd.h"
#include "sandbox/layers/confinement.h"
#include "sandbox/supervisor/supervisor.h"
#include "sandbox/table/filter_compiler.h"
#include "sandbox/table/policy.h"
#include "sandbox/worker.h"

namespace capbroker::sandbox {

struct InitPlan {
  Confinement confinement;
  FdRef lifeline;  // either may be missing
  FdRef report;
  const CompiledFilter* table = nullptr;  // of InitPolicy(), with Layer::kSystemCallTable
  WorkerPlan worker;
  SupervisorPlan supervisor;  // without a Supervision there is none
};

// The init's own table.
Policy InitPolicy();

// Runs the init, and in its child the worker. Caller: the child that the zygote
// has just cloned.
[[noreturn]] void RunInit(const InitPlan& plan);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_INIT_H_
