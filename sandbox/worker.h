// The last steps of a start, in the worker itself, up to its first line of
// code.
//
// Lives in: the worker.
#ifndef SANDBOX_WORKER_H_
#define SANDBOX_WORKER_H_

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/unique_fd.h"
#include "sandbox/descriptor_table.h"
#include "sandbox/layers/layers.h"
#include "sandbox/resource_bounds.h"
#include "sandbox/step_result.h"
#include "sandbox/table/filter_compiler.h"

namespace capbroker::sandbox {

// What a worker tells its init, over a socket that it closes before its own
// code runs (an executed program: by the exec). First how its confinement went,
// perhaps with the listener; a spare says once more that it is ready, when it has its job, and
// waits for a byte; or a failure.
struct HandOver {
  StepResult result;
  bool ready = false;
};

// The processes that a worker has around it.
struct Companions {
  pid_t init = 0;
  FdRef hand_over;  // a seqpacket socket to it
  // With grants:
  pid_t supervisor = 0;
  FdRef introduction;  // a seqpacket socket to it
};

// Exit codes of a worker whose start failed; meaningful only before "ready".
inline constexpr int kFailedStartCode = 127;
inline constexpr int kDescriptorsFailedCode = 126;  // it had no way left to tell

struct WorkerPlan {
  LayerSet layers;
  std::vector<Placement> descriptors;
  std::vector<ResourceLimit> limits;
  int working_place_number = -1;          // of a supervised one
  rlimit descriptor_limit;                // RLIMIT_NOFILE, which follows the hand-over
  FdRef ruleset;                          // with Layer::kLandlock
  const CompiledFilter* table = nullptr;  // with Layer::kSystemCallTable

  // What runs: either,
  const absl::FunctionRef<int(uint64_t)>* entry = nullptr;
  // which waits for its job there (spare_job.h) if it is a spare, with `descriptors` until then,
  FdRef job;
  // or a program. It is executed from `program_number`, which no later
  // descriptor can have.
  FdRef program;
  int program_number = -1;
  char* const* arguments = nullptr;
  char* const* environment = nullptr;
};

// Caller: the init's child, right after the fork.
[[noreturn]] void RunWorker(const WorkerPlan& plan, Companions companions);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_WORKER_H_
