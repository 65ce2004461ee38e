#include "transport/polling.h"

#include <algorithm>

#include "transport/packet.h"

namespace capbroker::transport {

void Polling::Earn() {
  saved_ns_ = std::min(saved_ns_ + kEarnedNs, kMostSavedNs);
  if (wait_ > 0) {
    --wait_;
  } else if (saved_ns_ == kMostSavedNs && !looks_) {
    found_ = 0;
    looks_ = true;
  }
}

bool Polling::Look(absl::FunctionRef<bool()> found) {
  const int64_t begun_ns = MonotonicNowNs();
  int64_t now_ns;
  bool success;
  do {
    success = found();
    now_ns = MonotonicNowNs();
  } while (!success && now_ns - begun_ns < kLookNs);
  saved_ns_ -= now_ns - begun_ns;
  if (success) found_ = std::min(found_ + 1, kFoundAtLeast);
  if (saved_ns_ < kLookNs) {
    looks_ = false;
    const bool in_vain = found_ < kFoundAtLeast;
    wait_ = in_vain ? next_wait_ : 0;
    next_wait_ = in_vain ? std::min(2 * next_wait_, kLongestWait) : kFirstWait;
  }
  return success;
}

}  // namespace capbroker::transport
