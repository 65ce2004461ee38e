#include "bench/measure.h"

#include <dirent.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace capbroker::bench {
namespace {

double Seconds(clockid_t clock) {
  timespec now;
  if (clock_gettime(clock, &now) != 0) return 0;
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

double CpuSeconds(const std::vector<pid_t>& processes) {
  double sum = Seconds(CLOCK_PROCESS_CPUTIME_ID);
  for (const pid_t process : processes) {
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

struct Series {
  std::vector<double> all;
  std::vector<double> medians;  // by round
  std::vector<double> cpu;      // by round
};

void RunRound(const Variant& variant, Series& series) {
  for (int i = 0; i < variant.calls / 5; ++i) variant.call();
  std::vector<double> times;
  times.reserve(static_cast<size_t>(variant.calls));
  const double cpu_before = CpuSeconds(variant.servers);
  for (int i = 0; i < variant.calls; ++i) {
    const double start = Seconds(CLOCK_MONOTONIC);
    variant.call();
    times.push_back((Seconds(CLOCK_MONOTONIC) - start) * 1e6);
  }
  series.cpu.push_back((CpuSeconds(variant.servers) - cpu_before) * 1e6 / variant.calls);
  series.medians.push_back(Quantile(times, 0.5));
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
  const std::vector<double>& base_medians = series[base].medians;
  for (const auto& [name, measured] : series) {
    std::vector<double> ratios;
    for (size_t i = 0; i < measured.medians.size(); ++i) {
      ratios.push_back(measured.medians[i] / base_medians[i]);
    }
    figures[name] = {Quantile(measured.all, 0.5), Quantile(measured.all, 0.99),
                     Quantile(ratios, 0.5),       Quantile(ratios, 0.25),
                     Quantile(ratios, 0.75),      Quantile(measured.cpu, 0.5)};
  }
  return figures;
}

void StayOnThisCpu() {
  const int cpu = sched_getcpu();
  if (cpu < 0) return;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  (void)sched_setaffinity(0, sizeof one, &one);
}

long PrivateKib(pid_t process) {
  std::ifstream file(absl::StrCat("/proc/", process, "/smaps_rollup"));
  std::string line;
  long sum = 0;
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::string name;
    long kib = 0;
    fields >> name >> kib;
    if (name == "Private_Clean:" || name == "Private_Dirty:") sum += kib;
  }
  return sum;
}

std::vector<pid_t> ChildrenOf(pid_t process) {
  std::vector<pid_t> children;
  DIR* directory = opendir("/proc");
  if (directory == nullptr) return children;
  while (const dirent* entry = readdir(directory)) {
    pid_t pid = 0;
    if (!absl::SimpleAtoi(entry->d_name, &pid)) continue;
    std::ifstream file(absl::StrCat("/proc/", pid, "/status"));
    std::string line;
    while (std::getline(file, line)) {
      if (line == absl::StrCat("PPid:\t", process)) children.push_back(pid);
    }
  }
  closedir(directory);
  return children;
}

}  // namespace capbroker::bench
