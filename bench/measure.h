// Measuring variants side by side.
//
// The machine's speed drifts, so every variant runs once a round, and a ratio is the
// quotient of two medians of the same round. What is reported of a variant: its
// percentiles over all rounds, the median of its ratios, and CPU time per call of the
// caller's process and of those that serve it.
#ifndef BENCH_MEASURE_H_
#define BENCH_MEASURE_H_

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace capbroker::bench {

struct Variant {
  std::string name;
  // Calls once. Dies on failure: a figure of something that failed is none.
  std::function<void()> call;
  // Calls of one round, after a fifth of them to warm up.
  int calls = 1000;
  // Processes that serve it, for their CPU time.
  std::vector<pid_t> servers = {};
};

struct Figure {
  double p50_us = 0;
  double p99_us = 0;
  double ratio = 0;      // to the base, median of the rounds
  double ratio_low = 0;  // its quartiles
  double ratio_high = 0;
  double cpu_us = 0;
};

// Runs all of `variants` in each of `rounds`. `base`: the name that ratios are to.
std::map<std::string, Figure> Measure(const std::vector<Variant>& variants, int rounds,
                                      const std::string& base);

// For this process and those that it will fork.
void StayOnThisCpu();

// KiB that only this process has: private clean and dirty pages of smaps_rollup.
long PrivateKib(pid_t process);

// The children of `process`, by /proc.
std::vector<pid_t> ChildrenOf(pid_t process);

}  // namespace capbroker::bench

#endif  // BENCH_MEASURE_H_
