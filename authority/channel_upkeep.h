// What holders may ask of their channels themselves: to describe, narrow and clone
// them. Every channel answers that whatever its limits and its budget say, so there
// is a rate of its own, the same for every family: far above what a program does to
// its channels, and low enough to be no load for others.
//
// Counted in units, since limits can be large: one for the call and one for each KiB
// of limits that it handles.
//
// Lives in: the service process, for its family; the broker, in each family's
// record, for a service process that was taken over. Thread-safe.
#ifndef AUTHORITY_CHANNEL_UPKEEP_H_
#define AUTHORITY_CHANNEL_UPKEEP_H_

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "authority/budget.h"
#include "authority/limits.h"
#include "authority/sliding_minute.h"

namespace capbroker::authority {

// Of a family, all its channels together.
inline constexpr uint64_t kChannelCallsPerMinute = 60'000;
// Of those, what the broker has to record: narrowings and clones.
inline constexpr uint64_t kChannelChangesPerMinute = 6'000;

// Of a call that handles limits of so many bytes.
constexpr uint64_t UpkeepUnits(size_t bytes) { return 1 + bytes / 1024; }
// The same for the limits in force.
uint64_t UpkeepUnits(const Limits& limits);

class UpkeepRate {
 public:
  // `name` says in a denial which rate it is. It outlives this.
  UpkeepRate(absl::string_view name, uint64_t units_per_minute, BudgetClock clock = MonotonicNow)
      : name_(name), units_per_minute_(units_per_minute), clock_(std::move(clock)) {}

  // RESOURCE_EXHAUSTED with BUDGET_EXHAUSTED, and nothing charged, when in the last
  // minute more would have been used up than the rate allows.
  absl::Status Charge(absl::string_view method, uint64_t units) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  const absl::string_view name_;
  const uint64_t units_per_minute_;
  const BudgetClock clock_;
  absl::Mutex mutex_;
  SlidingMinute minute_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace capbroker::authority

#endif  // AUTHORITY_CHANNEL_UPKEEP_H_
