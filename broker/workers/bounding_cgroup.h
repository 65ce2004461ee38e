// The cgroup in which each worker gets one of its own (client/broker_cgroup.h), as the broker has
// it.
//
// The broker opens nothing in it, which its table forbids: it gives the directory to the zygote
// with each command, and what it has to know it finds out before it confines itself.
//
// Lives in: the broker.
#ifndef BROKER_WORKERS_BOUNDING_CGROUP_H_
#define BROKER_WORKERS_BOUNDING_CGROUP_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"

namespace capbroker::broker {

struct BoundingCgroup {
  static absl::StatusOr<BoundingCgroup> In(UniqueFd directory);

  UniqueFd directory;
  // What a worker has by it, for Worker::layers(): "cgroup", "cgroup memory", "cgroup pids".
  std::vector<std::string> layers;
  // CPUs that a worker's processes can use at the same time.
  int cpus = 1;
};

// CPU time that was used in a cgroup, of its cpu.stat; zero if that is gone.
absl::Duration CpuTimeUsed(FdRef cpu_stat);

}  // namespace capbroker::broker

#endif  // BROKER_WORKERS_BOUNDING_CGROUP_H_
