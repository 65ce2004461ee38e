#include "bench/process_facts.h"

#include <dirent.h>
#include <sched.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "bench/must.h"

namespace capbroker::bench {
namespace {

pid_t ParentOf(pid_t process) {
  std::ifstream file(absl::StrCat("/proc/", process, "/status"));
  std::string line;
  while (std::getline(file, line)) {
    absl::string_view field = line;
    pid_t parent = 0;
    if (absl::ConsumePrefix(&field, "PPid:") && absl::SimpleAtoi(field, &parent)) return parent;
  }
  return 0;
}

// The CPUs of this process when it began.
const cpu_set_t& AllCpus() {
  static const cpu_set_t all = [] {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    (void)sched_getaffinity(0, sizeof cpus, &cpus);
    return cpus;
  }();
  return all;
}

}  // namespace

std::string BesideThisProgram(const std::string& name) {
  char path[4096];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  Must(size > 0, "where this program is");
  const std::string self(path, static_cast<size_t>(size));
  return absl::StrCat(self.substr(0, self.rfind('/') + 1), name);
}

void StayOnThisCpu() {
  (void)AllCpus();
  const int cpu = sched_getcpu();
  if (cpu < 0) return;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  (void)sched_setaffinity(0, sizeof one, &one);
}

bool LetRunElsewhere(pid_t process) {
  cpu_set_t cpus = AllCpus();
  if (CPU_COUNT(&cpus) < 2) return false;
  if (const int own = sched_getcpu(); own >= 0) CPU_CLR(own, &cpus);
  DIR* const directory = opendir(absl::StrCat("/proc/", process, "/task").c_str());
  if (directory == nullptr) return false;
  while (const dirent* entry = readdir(directory)) {
    pid_t thread = 0;
    if (absl::SimpleAtoi(entry->d_name, &thread)) {
      (void)sched_setaffinity(thread, sizeof cpus, &cpus);
    }
  }
  closedir(directory);
  return true;
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

std::vector<pid_t> DescendantsOf(pid_t process) {
  std::multimap<pid_t, pid_t> children;
  DIR* directory = opendir("/proc");
  if (directory == nullptr) return {};
  while (const dirent* entry = readdir(directory)) {
    pid_t pid = 0;
    if (absl::SimpleAtoi(entry->d_name, &pid)) children.emplace(ParentOf(pid), pid);
  }
  closedir(directory);
  std::vector<pid_t> found = {process};
  for (size_t i = 0; i < found.size(); ++i) {
    const auto [first, last] = children.equal_range(found[i]);
    for (auto child = first; child != last; ++child) found.push_back(child->second);
  }
  found.erase(found.begin());
  return found;
}

}  // namespace capbroker::bench
