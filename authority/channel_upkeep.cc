#include "authority/channel_upkeep.h"

#include "authority/denial.h"

namespace capbroker::authority {

uint64_t UpkeepUnits(const Limits& limits) {
  return UpkeepUnits(limits.message() == nullptr ? 0 : limits.message()->ByteSizeLong());
}

// INVARIANT(nobody-spins-for-a-stranger)
absl::Status UpkeepRate::Charge(absl::string_view method, uint64_t units) {
  absl::MutexLock lock(&mutex_);
  const absl::Duration now = clock_();
  const uint64_t used = minute_.Sum(now);
  if (used > units_per_minute_ || units > units_per_minute_ - used) {
    return ToStatus(MakeRefusal(v1::Denial::BUDGET_EXHAUSTED, name_, method));
  }
  minute_.Add(now, units);
  return absl::OkStatus();
}

}  // namespace capbroker::authority
