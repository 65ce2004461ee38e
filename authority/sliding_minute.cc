#include "authority/sliding_minute.h"

#include <algorithm>

namespace capbroker::authority {

uint64_t SlidingMinute::Sum(absl::Duration now) {
  Advance(absl::ToInt64Seconds(now));
  return sum_;
}

void SlidingMinute::Add(absl::Duration now, uint64_t count) {
  Advance(absl::ToInt64Seconds(now));
  counts_[second_ % kSeconds] += count;
  sum_ += count;
}

void SlidingMinute::Advance(int64_t second) {
  const int64_t passed = std::min(second - second_, kSeconds);
  for (int64_t i = 1; i <= passed; ++i) {
    uint64_t& oldest = counts_[(second_ + i) % kSeconds];
    sum_ -= oldest;
    oldest = 0;
  }
  second_ = std::max(second_, second);
}

}  // namespace capbroker::authority
