// A count of what happened in the last minute.
//
// Counts by the second and forgets a second when it lies 61 back: so the sum never
// misses anything of the last 60 seconds, and what is refused because of it may be
// refused up to a second too long. 61 counters, whatever the rate.
//
// Lives in: service processes. Not thread-safe.
#ifndef AUTHORITY_SLIDING_MINUTE_H_
#define AUTHORITY_SLIDING_MINUTE_H_

#include <array>
#include <cstdint>

#include "absl/time/time.h"

namespace capbroker::authority {

class SlidingMinute {
 public:
  // What was added in the minute before `now`. A `now` before the last one is taken
  // for that one: a clock that goes back gives nothing back.
  uint64_t Sum(absl::Duration now);
  void Add(absl::Duration now, uint64_t count);

 private:
  static constexpr int64_t kSeconds = 61;
  void Advance(int64_t second);

  std::array<uint64_t, kSeconds> counts_ = {};
  uint64_t sum_ = 0;
  int64_t second_ = 0;
};

}  // namespace capbroker::authority

#endif  // AUTHORITY_SLIDING_MINUTE_H_
