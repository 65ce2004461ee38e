#include "bench/machine.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace capbroker::bench {
namespace {

std::string CpuModel() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    const size_t colon = line.find(": ");
    if (absl::StartsWith(line, "model name") && colon != std::string::npos) {
      return line.substr(colon + 2);
    }
  }
  return "unknown";
}

// Of the last minute: others that ran meanwhile are in the figures.
std::string Load() {
  std::ifstream file("/proc/loadavg");
  std::string load = "unknown";
  file >> load;
  return load;
}

}  // namespace

std::map<std::string, std::string> DescribeMachine(const Options& options) {
  utsname system = {};
  (void)uname(&system);
#ifdef __clang__
  const std::string compiler = __VERSION__;
#else
  const std::string compiler = absl::StrCat("GCC ", __VERSION__);
#endif
#ifdef NDEBUG
  const char* const built = "-c opt";
#else
  const char* const built = "not optimised";
#endif
  return {{"cpu", CpuModel()},
          {"cpus", absl::StrCat(sysconf(_SC_NPROCESSORS_ONLN))},
          {"kernel", absl::StrCat(system.sysname, " ", system.release, " ", system.machine)},
          {"compiler", compiler},
          {"built", built},
          {"load before", Load()},
          {"rounds", absl::StrCat(options.rounds)},
          {"placement",
           options.one_cpu ? "caller and services on one CPU" : "where the scheduler puts them"}};
}

}  // namespace capbroker::bench
