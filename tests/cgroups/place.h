// What is in a test's cgroup.
#ifndef TESTS_CGROUPS_PLACE_H_
#define TESTS_CGROUPS_PLACE_H_

#include <sys/types.h>

#include <fstream>
#include <string>
#include <vector>

#include "base/cgroup.h"
#include "base/cgroup_for_test.h"
#include "client/broker.h"

namespace capbroker::testing {

// With the controllers that there are: most of what is tested is not about them.
inline BrokerOptions Beneath(const std::string& path) {
  return {.cgroups = {.beneath = path, .partly = true}};
}

// Paths of the cgroups of workers, of all brokers beneath `path`.
inline std::vector<std::string> WorkersBeneath(const std::string& path) {
  std::vector<std::string> workers;
  const auto parent = Cgroup::Open(path);
  if (!parent.ok()) return workers;
  for (const std::string& broker : parent->Children().value_or(std::vector<std::string>())) {
    const auto child = parent->OpenChild(broker);
    if (!child.ok()) continue;
    for (const std::string& worker : child->Children().value_or(std::vector<std::string>())) {
      workers.push_back(path + "/" + broker + "/" + worker);
    }
  }
  return workers;
}

inline std::vector<std::string> ChildrenOf(const std::string& path) {
  const auto parent = Cgroup::Open(path);
  if (!parent.ok()) return {};
  return parent->Children().value_or(std::vector<std::string>());
}

inline std::vector<pid_t> ProcessesIn(const std::string& path) {
  std::ifstream file(path + "/cgroup.procs");
  std::vector<pid_t> processes;
  for (pid_t pid = 0; file >> pid;) processes.push_back(pid);
  return processes;
}

}  // namespace capbroker::testing

#endif  // TESTS_CGROUPS_PLACE_H_
