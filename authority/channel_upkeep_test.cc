#include "authority/channel_upkeep.h"

#include "absl/time/time.h"
#include "authority/denial.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace capbroker::authority {
namespace {

using ::capbroker::testing::StatusIs;

TEST(UpkeepRateTest, RefusesWhatGoesBeyondTheMinuteAndChargesNothingForIt) {
  absl::Duration now = absl::Hours(1);
  UpkeepRate rate("changes", 10, [&now] { return now; });
  EXPECT_OK(rate.Charge("Narrow", 8));
  const absl::Status refused = rate.Charge("Narrow", 3);
  EXPECT_THAT(refused,
              StatusIs(absl::StatusCode::kResourceExhausted, "narrow: budget.changes is used up"));
  ASSERT_TRUE(DenialOf(refused).has_value());
  EXPECT_EQ(DenialOf(refused)->reason(), v1::Denial::BUDGET_EXHAUSTED);
  EXPECT_OK(rate.Charge("Narrow", 2));
  now += absl::Seconds(30);
  EXPECT_THAT(rate.Charge("Clone", 1), StatusIs(absl::StatusCode::kResourceExhausted));
  now += absl::Seconds(31);
  EXPECT_OK(rate.Charge("Clone", 10));
}

TEST(UpkeepRateTest, CountsEachKibibyteOfLimits) {
  EXPECT_EQ(UpkeepUnits(0), 1u);
  EXPECT_EQ(UpkeepUnits(1023), 1u);
  EXPECT_EQ(UpkeepUnits(48 << 10), 49u);
  UpkeepRate rate("calls", 10);
  EXPECT_THAT(rate.Charge("Narrow", ~uint64_t{0}), StatusIs(absl::StatusCode::kResourceExhausted));
}

}  // namespace
}  // namespace capbroker::authority
