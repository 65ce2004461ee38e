#include "transport/polling.h"

#include <algorithm>

#include "transport/packet.h"

namespace capbroker::transport {

void Polling::Earn() {
  saved_ns_ = std::min(saved_ns_ + kEarnedNs, kMostSavedNs);
  if (wait_ > 0) {
    --wait_;
  } else if (saved_ns_ == kMostSavedNs && !looks_) {
    found_ = missed_ = 0;
    looks_ = true;
  }
}

bool Polling::Look(absl::FunctionRef<bool()> found) {
  // It would have been found by who sleeps as well.
  if (found()) return true;
  const int64_t begun_ns = MonotonicNowNs();
  int64_t now_ns;
  bool success;
  do {
    success = found();
    now_ns = MonotonicNowNs();
  } while (!success && now_ns - begun_ns < kLookNs);
  saved_ns_ -= now_ns - begun_ns;
  if (success) {
    found_ = std::min(found_ + 1, kFoundAtLeast);
  } else {
    ++missed_;
  }
  const bool in_vain = found_ < kFoundAtLeast;
  if (saved_ns_ < kLookNs || (in_vain && missed_ >= kMostMissed)) {
    looks_ = false;
    wait_ = in_vain ? next_wait_ : 0;
    next_wait_ = in_vain ? std::min(2 * next_wait_, kLongestWait) : kFirstWait;
  } else if (missed_ >= kMostMissed) {
    found_ = missed_ = 0;
  }
  return success;
}

}  // namespace capbroker::transport
