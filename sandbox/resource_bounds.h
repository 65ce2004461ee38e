// Rlimits of a worker.
//
// They bound one process by itself; all of a worker's together are bounded by its cgroup, if it has
// one (worker_cgroups.h). What counts per user is the worker's alone where it has a user
// namespace or an id of its own; elsewhere the bound of threads is beside what its user has.
//
// Lives in: the zygote (deciding), the worker (applying).
#ifndef SANDBOX_RESOURCE_BOUNDS_H_
#define SANDBOX_RESOURCE_BOUNDS_H_

#include <sys/resource.h>

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "sandbox/step_result.h"

namespace capbroker::sandbox {

// What a worker may use up. 0 means the default that is stated.
struct Bounds {
  // CPU time of the whole worker; then SIGXCPU, and one second later SIGKILL.
  // Default: none.
  absl::Duration cpu_time;
  // Private memory beyond what the image has at the start. Default: 1 GiB.
  uint64_t memory_bytes = 0;
  // Highest descriptor number plus one. Default: 256; at least 16, at most
  // 4096.
  uint32_t descriptors = 0;
  // Threads. Default: 256. Where the worker has neither a user namespace nor a uid of its own, so
  // many beyond those that its user had at the start; root's are not bounded there.
  uint32_t threads = 0;
  // Size of a file that it writes. Default: 1 GiB.
  uint64_t file_size_bytes = 0;
};

// The address space and private writable memory that an image has already.
struct ImageSize {
  uint64_t address_space_bytes = 0;
  uint64_t data_bytes = 0;
};

// Of the process that opened `statm` (/proc/self/statm).
absl::StatusOr<ImageSize> ReadImageSize(FdRef statm);

struct ResourceLimit {
  int resource;
  rlimit limit;
};

// What a worker may have above the highest place that something was put at.
inline constexpr int kRoomAbovePlaces = 8;

// What `bounds` mean, with the defaults.
uint32_t DescriptorBound(const Bounds& bounds);
uint32_t ThreadBound(const Bounds& bounds);
uint64_t MemoryBound(const Bounds& bounds);

// All but the descriptor bound. `others`: threads that count against the worker's.
std::vector<ResourceLimit> LimitsFor(const Bounds& bounds, const ImageSize& image, uint32_t others);

// Lowers soft and hard limits; limits that are lower already stay.
StepResult ApplyLimits(const std::vector<ResourceLimit>& limits);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_RESOURCE_BOUNDS_H_
