#include "sandbox/worker_cgroups.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status_macros.h"

namespace capbroker::sandbox {
namespace {

// What a worker makes the kernel use beside its own memory: stacks and records of threads, page
// tables, what is in pipes and sockets; and what its companions use.
constexpr uint64_t kBesideMemory = 16 << 20;
constexpr uint64_t kPageTableShare = 256;  // 1/512 with tables that are half used

absl::Status BoundMemory(const Cgroup& cgroup, const Bounds& bounds) {
  const uint64_t own = std::min(MemoryBound(bounds), uint64_t{1} << 60);
  const uint64_t all = own + own / kPageTableShare + kBesideMemory;
  CB_RETURN_IF_ERROR(cgroup.Write("memory.max", absl::StrCat(all)));
  // All of its processes or none: what is left of a worker would be no worker.
  CB_RETURN_IF_ERROR(cgroup.Write("memory.oom.group", "1"));
  const absl::Status swap = cgroup.Write("memory.swap.max", "0");
  return absl::IsNotFound(swap) ? absl::OkStatus() : swap;  // a kernel that does not count it
}

}  // namespace

absl::StatusOr<WorkerCgroups> WorkerCgroups::In(UniqueFd directory) {
  WorkerCgroups cgroups{Cgroup(std::move(directory))};
  CB_ASSIGN_OR_RETURN(const std::vector<std::string> enabled, cgroups.parent_.EnabledControllers());
  for (const std::string& controller : enabled) {
    cgroups.bounds_memory_ |= controller == "memory";
    cgroups.bounds_processes_ |= controller == "pids";
  }
  CB_ASSIGN_OR_RETURN(const std::vector<std::string> left, cgroups.parent_.Children());
  cgroups.leaving_.insert(left.begin(), left.end());
  cgroups.Tidy();
  return cgroups;
}

absl::StatusOr<Cgroup> WorkerCgroups::Make(const std::string& name, const Bounds& bounds,
                                           uint32_t companions) {
  CB_ASSIGN_OR_RETURN(Cgroup cgroup, parent_.MakeChild(name));
  absl::Status bounded;
  if (bounds_memory_) bounded = BoundMemory(cgroup, bounds);
  if (bounded.ok() && bounds_processes_) {
    bounded = cgroup.Write("pids.max", absl::StrCat(uint64_t{ThreadBound(bounds)} + companions));
  }
  if (bounded.ok()) return cgroup;
  Remove(name);
  return bounded;
}

bool WorkerCgroups::RanOutOfMemory(const std::string& name) const {
  const absl::StatusOr<Cgroup> cgroup = parent_.OpenChild(name);
  if (!cgroup.ok()) return false;
  // Its own bound was met, and not only the host's or the application's.
  const absl::StatusOr<uint64_t> met = cgroup->ReadCount("memory.events", "oom");
  const absl::StatusOr<uint64_t> killed = cgroup->ReadCount("memory.events", "oom_kill");
  return met.ok() && killed.ok() && *met > 0 && *killed > 0;
}

void WorkerCgroups::Remove(const std::string& name) {
  leaving_.insert(name);
  Tidy();
}

bool WorkerCgroups::Tidy() {
  for (auto name = leaving_.begin(); name != leaving_.end();) {
    const absl::Status removed = parent_.RemoveChild(*name, absl::ZeroDuration());
    name = absl::IsUnavailable(removed) ? std::next(name) : leaving_.erase(name);
  }
  return leaving_.empty();
}

}  // namespace capbroker::sandbox
