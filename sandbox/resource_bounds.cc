#include "sandbox/resource_bounds.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>

#include "base/errno_status.h"
#include "sandbox/policies/worker_policy.h"

namespace capbroker::sandbox {
namespace {

constexpr uint64_t kGibibyte = uint64_t{1} << 30;
constexpr uint64_t kDefaultMemory = kGibibyte;
constexpr uint64_t kDefaultFileSize = kGibibyte;
constexpr uint32_t kDefaultDescriptors = 256;
constexpr uint32_t kDefaultThreads = 256;
// Address space that is no memory: thread stacks and malloc's arenas reserve
// much and touch little.
constexpr uint64_t kReservedAddressSpace = 4 * kGibibyte;
constexpr uint64_t kStack = 8 << 20;

uint64_t Sum(uint64_t a, uint64_t b) { return a > UINT64_MAX - b ? RLIM_INFINITY : a + b; }

}  // namespace

absl::StatusOr<ImageSize> ReadImageSize(FdRef statm) {
  char text[256] = {};
  if (pread(statm.get(), text, sizeof text - 1, 0) <= 0) {
    return ErrnoToStatus(errno, "read the size of the image");
  }
  uint64_t total, resident, shared, code, library, data;
  if (std::sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
                  &total, &resident, &shared, &code, &library, &data) != 6) {
    return absl::InternalError("size of the image: not understood");
  }
  const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return ImageSize{.address_space_bytes = total * page, .data_bytes = data * page};
}

uint32_t DescriptorBound(const Bounds& bounds) {
  if (bounds.descriptors == 0) return kDefaultDescriptors;
  return std::clamp<uint32_t>(bounds.descriptors, 16, kHighestDescriptorBound);
}

uint32_t ThreadBound(const Bounds& bounds) {
  return bounds.threads == 0 ? kDefaultThreads : bounds.threads;
}

uint64_t MemoryBound(const Bounds& bounds) {
  return bounds.memory_bytes == 0 ? kDefaultMemory : bounds.memory_bytes;
}

std::vector<ResourceLimit> LimitsFor(const Bounds& bounds, const ImageSize& image,
                                     uint32_t others) {
  const auto both = [](uint64_t value) { return rlimit{value, value}; };
  const uint64_t memory = MemoryBound(bounds);
  std::vector<ResourceLimit> limits = {
      // Not 0, at which the kernel still feeds a core to a program in
      // core_pattern. At 1 it makes none of either kind.
      {RLIMIT_CORE, both(1)},
      {RLIMIT_MSGQUEUE, both(0)},
      {RLIMIT_MEMLOCK, both(1 << 20)},
      {RLIMIT_RTPRIO, both(0)},
      {RLIMIT_NICE, both(0)},
      {RLIMIT_SIGPENDING, both(256)},
      {RLIMIT_STACK, both(kStack)},
      {RLIMIT_NPROC, both(uint64_t{ThreadBound(bounds)} + others)},
      {RLIMIT_FSIZE, both(bounds.file_size_bytes == 0 ? kDefaultFileSize : bounds.file_size_bytes)},
      // Data counts private memory, whoever asked for it; the address space
      // bounds shared memory as well.
      {RLIMIT_DATA, both(Sum(image.data_bytes, memory))},
      {RLIMIT_AS, both(Sum(Sum(image.address_space_bytes, memory), kReservedAddressSpace))},
  };
  if (bounds.cpu_time > absl::ZeroDuration() && bounds.cpu_time != absl::InfiniteDuration()) {
    const uint64_t seconds =
        static_cast<uint64_t>(absl::ToInt64Seconds(absl::Ceil(bounds.cpu_time, absl::Seconds(1))));
    limits.push_back({RLIMIT_CPU, {seconds, seconds + 1}});
  }
  return limits;
}

StepResult ApplyLimits(const std::vector<ResourceLimit>& limits) {
  for (const ResourceLimit& wanted : limits) {
    const auto resource = static_cast<__rlimit_resource_t>(wanted.resource);
    rlimit present;
    if (getrlimit(resource, &present) != 0) return FailedWithErrno(Step::kResourceBounds);
    const rlimit lowered = {std::min(wanted.limit.rlim_cur, present.rlim_max),
                            std::min(wanted.limit.rlim_max, present.rlim_max)};
    if (setrlimit(resource, &lowered) != 0) return FailedWithErrno(Step::kResourceBounds);
  }
  return Done();
}

}  // namespace capbroker::sandbox
