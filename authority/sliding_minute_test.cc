#include "authority/sliding_minute.h"

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace capbroker::authority {
namespace {

TEST(SlidingMinuteTest, CountsNothingAtFirst) {
  SlidingMinute minute;
  EXPECT_EQ(minute.Sum(absl::Seconds(100'000)), 0u);
}

TEST(SlidingMinuteTest, RemembersAllOfTheLastSixtySeconds) {
  SlidingMinute minute;
  const absl::Duration start = absl::Seconds(1000) + absl::Milliseconds(999);
  minute.Add(start, 3);
  EXPECT_EQ(minute.Sum(start), 3u);
  EXPECT_EQ(minute.Sum(start + absl::Seconds(60)), 3u);
  minute.Add(start + absl::Seconds(60), 4);
  EXPECT_EQ(minute.Sum(start + absl::Seconds(60)), 7u);
}

TEST(SlidingMinuteTest, ForgetsAfterSixtyOneSeconds) {
  SlidingMinute minute;
  minute.Add(absl::Seconds(1000), 3);
  minute.Add(absl::Seconds(1030), 4);
  EXPECT_EQ(minute.Sum(absl::Seconds(1061)), 4u);
  EXPECT_EQ(minute.Sum(absl::Seconds(1090)), 4u);
  EXPECT_EQ(minute.Sum(absl::Seconds(1091)), 0u);
}

TEST(SlidingMinuteTest, ALongPauseForgetsEverything) {
  SlidingMinute minute;
  for (int i = 0; i < 200; ++i) minute.Add(absl::Seconds(i), 1);
  EXPECT_EQ(minute.Sum(absl::Seconds(199)), 61u);
  EXPECT_EQ(minute.Sum(absl::Hours(1000)), 0u);
  minute.Add(absl::Hours(1000), 5);
  EXPECT_EQ(minute.Sum(absl::Hours(1000)), 5u);
}

}  // namespace
}  // namespace capbroker::authority
