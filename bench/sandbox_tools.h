// Other programs that confine programs, as they are installed on this machine. What is not on PATH,
// or does not work here, is left out, and standard error says so.
//
//   bubblewrap_start, minijail_start, nsjail_start, firejail_start
//                    from starting the tool to the first byte that a confined echo(1) writes
//   bubblewrap_exec  to the first answered call of a confined ping_program: as worker_exec
#ifndef BENCH_SANDBOX_TOOLS_H_
#define BENCH_SANDBOX_TOOLS_H_

#include "bench/scene.h"

namespace capbroker::bench {

void AddSandboxTools(const Scene& scene, Variants& variants);

}  // namespace capbroker::bench

#endif  // BENCH_SANDBOX_TOOLS_H_
