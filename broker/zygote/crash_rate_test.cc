#include "broker/zygote/crash_rate.h"

#include "gtest/gtest.h"

namespace capbroker::broker {
namespace {

TEST(CrashRateTest, AllowsFourInTenSecondsAndNotAFifth) {
  CrashRate rate;
  const absl::Time start = absl::UnixEpoch();
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(rate.Count(start + absl::Seconds(i)));
  EXPECT_FALSE(rate.Count(start + absl::Seconds(5)));
}

TEST(CrashRateTest, ForgetsAfterTenSeconds) {
  CrashRate rate;
  absl::Time now = absl::UnixEpoch();
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(rate.Count(now));
    now += absl::Seconds(3);
  }
}

}  // namespace
}  // namespace capbroker::broker
