// The rows of every confined process that runs code of ours or others': handlers of signals,
// threads, memory that is never executable, clocks, and waiting. None of them names anything or
// reaches anybody. Mapping and starting threads (mmap, clone) is each table's own.
//
// Runs in: the zygote, and tests.
#ifndef SANDBOX_POLICIES_COMPUTING_ROWS_H_
#define SANDBOX_POLICIES_COMPUTING_ROWS_H_

#include <sched.h>

#include <cstdint>

#include "sandbox/table/policy.h"

namespace capbroker::sandbox {

// What glibc's pthread_create asks for, no more and no less.
inline constexpr uint64_t kPthreadFlags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM |
                                          CLONE_SIGHAND | CLONE_THREAD | CLONE_SETTLS |
                                          CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;

struct Computing {
  // Memory may become code, for compilers at run time.
  bool makes_code = false;
  // For code that was not written for this: more of what a process may do with itself.
  bool runs_programs = false;
  // No other process has a number in its PID namespace.
  bool has_own_pids = false;
};

void AddComputing(Policy& policy, const Computing& computing);
// Those of a process that is one, and signals nobody but itself (Parameter::kWorkerPid).
void AddOneProcess(Policy& policy);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_POLICIES_COMPUTING_ROWS_H_
