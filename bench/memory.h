// Memory that only one process has, and what a thousand workers need.
//
//   service_memory       a service process that has answered a hundred calls on its lane
//   service_memory_wire  the same after its wire was used
//   service_memory_busy  one that was called back to back for longer, and has a thread for that
//   worker_memory        a forked worker that has called
//   workers_1000         1000 workers alive, with three channels each: how many have had an answer
//                        on all three, how many start in a second, KiB of broker and zygote
#ifndef BENCH_MEMORY_H_
#define BENCH_MEMORY_H_

#include <vector>

#include "bench/scene.h"

namespace capbroker::bench {

struct ProcessMemory {
  long service_kib = 0;
  long service_wire_kib = 0;
  long service_busy_kib = 0;
  long worker_kib = 0;
};
ProcessMemory MeasureMemory(const Scene& scene);

// After each of these numbers of workers has been reached.
struct ManyWorkers {
  int workers = 0;
  int answered = 0;
  double per_s = 0;      // since the number before it
  double all_per_s = 0;  // since the first one
  long broker_kib = 0;   // with the zygote
};
std::vector<ManyWorkers> MeasureManyWorkers(const Scene& scene, const std::vector<int>& counts);

}  // namespace capbroker::bench

#endif  // BENCH_MEMORY_H_
