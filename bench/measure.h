// Measuring variants side by side.
//
// The machine's speed drifts, so every variant runs once a round, and a ratio is the
// quotient of two times of the same round. What is reported of a variant: its
// percentiles over all rounds, the median of its ratios and their quartiles, and CPU time
// per call of the caller's process and of those that serve it.
#ifndef BENCH_MEASURE_H_
#define BENCH_MEASURE_H_

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace capbroker::bench {

// Makes that many calls, and appends how long each took, in microseconds, where calls are made
// one after the other.
using RunCalls = std::function<void(int calls, std::vector<double>& times_us)>;

struct Variant {
  std::string name;
  // Calls once. Dies on failure.
  std::function<void()> call = nullptr;
  // Calls of one round, after a fifth of them to warm up.
  int calls = 1000;
  // Processes that serve it, for their CPU time; with that of this one, or without.
  std::vector<pid_t> servers = {};
  bool counts_caller = true;
  // In the place of `call`: many at once, or calls of another process.
  RunCalls run = nullptr;
  // What one call moves of what `per_s` counts: calls, bytes. 0: nobody asks for a rate.
  double units = 0;
  // How often `call` does what is measured, where the clock is too coarse for once.
  int repeats = 1;
  // After each call, not measured: the end of what it began.
  std::function<void()> after = nullptr;
};

struct Spread {
  double median = 0;
  double low = 0;  // quartiles
  double high = 0;
};

struct Figure {
  bool has_times = false;  // p50_us and p99_us
  double p50_us = 0;
  double p99_us = 0;
  Spread ratio;  // of the time of a call to the base's, by round
  bool has_rate = false;
  Spread per_s;  // by round
  double cpu_us = 0;
};

// Runs all of `variants` in each of `rounds`. `base`: the name that ratios are to.
std::map<std::string, Figure> Measure(const std::vector<Variant>& variants, int rounds,
                                      const std::string& base);

// A RunCalls of `call`.
void TimeCalls(int calls, std::vector<double>& times_us, const std::function<void()>& call);

double MonotonicSeconds();

}  // namespace capbroker::bench

#endif  // BENCH_MEASURE_H_
