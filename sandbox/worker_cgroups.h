// Bounds that hold for all processes of a worker together: each worker's cgroup.
//
// They are beside the limits of each process (resource_bounds.h), and a little above them, so that
// one process by itself meets the limit, which is an error, before the bound, which ends the
// worker. Which there are depends on the controllers of the cgroup that they are made in. A
// worker's init is cloned into its cgroup, and what it starts is there: none of it sees the file
// system of cgroups, or a descriptor that leads to it.
//
// Lives in: the zygote. Not thread-safe.
#ifndef SANDBOX_WORKER_CGROUPS_H_
#define SANDBOX_WORKER_CGROUPS_H_

#include <cstdint>
#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/cgroup.h"
#include "base/unique_fd.h"
#include "sandbox/resource_bounds.h"

namespace capbroker::sandbox {

class WorkerCgroups {
 public:
  // `directory`: a cgroup that holds nothing but what was made here, by this process or by one that
  // is dead with its workers. What that has left is removed.
  static absl::StatusOr<WorkerCgroups> In(UniqueFd directory);

  // Makes one, for Start::cgroup. `companions`: processes of the sandbox that will be in it, too.
  // INVARIANT(fail-closed): where a bound cannot be set there is none.
  absl::StatusOr<Cgroup> Make(const std::string& name, const Bounds& bounds, uint32_t companions);

  // Whether the bound of memory has ended it; not of one that was removed.
  bool RanOutOfMemory(const std::string& name) const;

  // After the end of its init: kills whoever is left, and removes it. Never waits: who is dying
  // still is looked for again by Tidy().
  void Remove(const std::string& name);
  // True if nothing is left to be removed.
  bool Tidy();

 private:
  explicit WorkerCgroups(Cgroup parent) : parent_(std::move(parent)) {}

  Cgroup parent_;
  bool bounds_memory_ = false;
  bool bounds_processes_ = false;
  std::set<std::string> leaving_;
};

}  // namespace capbroker::sandbox

#endif  // SANDBOX_WORKER_CGROUPS_H_
