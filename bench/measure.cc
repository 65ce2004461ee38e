#include "bench/measure.h"

#include <time.h>

#include <algorithm>

namespace capbroker::bench {
namespace {

double Seconds(clockid_t clock) {
  timespec now;
  if (clock_gettime(clock, &now) != 0) return 0;
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

double CpuSeconds(const Variant& variant) {
  double sum = variant.counts_caller ? Seconds(CLOCK_PROCESS_CPUTIME_ID) : 0;
  for (const pid_t process : variant.servers) {
    clockid_t clock;
    if (clock_getcpuclockid(process, &clock) == 0) sum += Seconds(clock);
  }
  return sum;
}

double Quantile(std::vector<double> values, double at) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1,
                         static_cast<size_t>(static_cast<double>(values.size()) * at))];
}

Spread SpreadOf(const std::vector<double>& values) {
  return {Quantile(values, 0.5), Quantile(values, 0.25), Quantile(values, 0.75)};
}

struct Series {
  std::vector<double> all;    // microseconds of each call
  std::vector<double> times;  // by round: microseconds of a call
  std::vector<double> rates;  // by round
  std::vector<double> cpu;    // by round
};

void RunRound(const Variant& variant, Series& series) {
  std::vector<double> times;
  double took = 0;  // seconds, of all the calls
  const auto run = [&](int calls) {
    times.clear();
    took = 0;
    if (variant.run != nullptr) {
      const double start = MonotonicSeconds();
      variant.run(calls, times);
      took = MonotonicSeconds() - start;
      return;
    }
    for (int i = 0; i < calls; ++i) {
      TimeCalls(1, times, variant.call);
      took += times.back() / 1e6;
      if (variant.after != nullptr) variant.after();
    }
  };
  run(std::max(1, variant.calls / 5));
  const double cpu_before = CpuSeconds(variant);
  run(variant.calls);
  const double operations = static_cast<double>(variant.calls) * variant.repeats;
  series.cpu.push_back((CpuSeconds(variant) - cpu_before) * 1e6 / operations);
  for (double& time : times) time /= variant.repeats;
  // Of calls that overlap, what counts is how many are done in a time.
  const bool one_by_one = !times.empty() && variant.units == 0;
  series.times.push_back(one_by_one ? Quantile(times, 0.5) : took * 1e6 / operations);
  series.rates.push_back(operations * variant.units / took);
  series.all.insert(series.all.end(), times.begin(), times.end());
}

}  // namespace

std::map<std::string, Figure> Measure(const std::vector<Variant>& variants, int rounds,
                                      const std::string& base) {
  std::map<std::string, Series> series;
  for (int round = 0; round < rounds; ++round) {
    // Each round begins elsewhere, so that no variant always follows the same one.
    for (size_t i = 0; i < variants.size(); ++i) {
      const Variant& variant = variants[(i + static_cast<size_t>(round) * 5) % variants.size()];
      RunRound(variant, series[variant.name]);
    }
  }
  std::map<std::string, Figure> figures;
  const std::vector<double>& base_times = series[base].times;
  for (const Variant& variant : variants) {
    const Series& measured = series[variant.name];
    std::vector<double> ratios;
    for (size_t i = 0; i < measured.times.size(); ++i) {
      ratios.push_back(measured.times[i] / base_times[i]);
    }
    figures[variant.name] = {.has_times = !measured.all.empty(),
                             .p50_us = Quantile(measured.all, 0.5),
                             .p99_us = Quantile(measured.all, 0.99),
                             .ratio = SpreadOf(ratios),
                             .has_rate = variant.units != 0,
                             .per_s = SpreadOf(measured.rates),
                             .cpu_us = Quantile(measured.cpu, 0.5)};
  }
  return figures;
}

void TimeCalls(int calls, std::vector<double>& times_us, const std::function<void()>& call) {
  for (int i = 0; i < calls; ++i) {
    const double start = MonotonicSeconds();
    call();
    times_us.push_back((MonotonicSeconds() - start) * 1e6);
  }
}

double MonotonicSeconds() { return Seconds(CLOCK_MONOTONIC); }

}  // namespace capbroker::bench
