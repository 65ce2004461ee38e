#include "transport/polling.h"

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
  if (wait_ > 0) {
    --wait_;
  } else if (saved_ns_ == kMostSavedNs && !looks()) {
    found_ = 0;
    looks_.store(true, std::memory_order_relaxed);
  }
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
  if (success) found_ = std::min(found_ + 1, kFoundAtLeast);
  if (saved_ns_ < kLookNs) {
    looks_.store(false, std::memory_order_relaxed);
    const bool in_vain = found_ < kFoundAtLeast;
    wait_ = in_vain ? next_wait_ : 0;
    next_wait_ = in_vain ? std::min(2 * next_wait_, kLongestWait) : kFirstWait;
  }
  return success;
}

}  // namespace capbroker::transport
