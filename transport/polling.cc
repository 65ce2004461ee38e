#include "transport/polling.h"

#include <sched.h>
#include <time.h>

#include <algorithm>

namespace capbroker::transport {
namespace {

int64_t NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

void Polling::Earn() {
  saved_ns_ = std::min(saved_ns_ + kEarnedNs, kMostSavedNs);
  if (saved_ns_ == kMostSavedNs) looks_.store(true, std::memory_order_relaxed);
}

bool Polling::Look(absl::FunctionRef<bool()> found) {
  const int64_t begun_ns = NowNs();
  int64_t now_ns;
  bool success;
  do {
    success = found();
    now_ns = NowNs();
  } while (!success && now_ns - begun_ns < kLookNs);
  saved_ns_ -= now_ns - begun_ns;
  if (saved_ns_ < kLookNs) looks_.store(false, std::memory_order_relaxed);
  return success;
}

bool HasSeveralCpus() {
  cpu_set_t cpus;
  // A machine with more CPUs than the set has room for has several.
  return sched_getaffinity(0, sizeof cpus, &cpus) != 0 || CPU_COUNT(&cpus) > 1;
}

}  // namespace capbroker::transport
