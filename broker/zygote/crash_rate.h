// How often something crashes: the bound on starting it again. Lives in: the broker.
#ifndef BROKER_ZYGOTE_CRASH_RATE_H_
#define BROKER_ZYGOTE_CRASH_RATE_H_

#include <cstddef>
#include <deque>

#include "absl/time/time.h"

namespace capbroker::broker {

class CrashRate {
 public:
  static constexpr size_t kMaxCrashes = 5;
  static constexpr absl::Duration kWindow = absl::Seconds(10);

  // Counts a crash. False: it was the fifth within ten seconds, so that starting
  // again is of no use.
  bool Count(absl::Time now) {
    Expire(now);
    times_.push_back(now);
    return times_.size() < kMaxCrashes;
  }

 private:
  void Expire(absl::Time now) {
    while (!times_.empty() && now - times_.front() > kWindow) times_.pop_front();
  }

  std::deque<absl::Time> times_;
};

}  // namespace capbroker::broker

#endif  // BROKER_ZYGOTE_CRASH_RATE_H_
