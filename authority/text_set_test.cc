#include "authority/text_set.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace capbroker::authority {
namespace {

using ::capbroker::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(TextSetTest, EmptyAllowsNothing) {
  EXPECT_FALSE(TextSet().Contains(""));
  EXPECT_FALSE(TextSet::Make({}).Contains("*"));
  EXPECT_TRUE(TextSet::Make({}).empty());
}

TEST(TextSetTest, AllowsWhatItHoldsAndNothingElse) {
  const TextSet set = TextSet::Make({"wheel", "staff"});
  EXPECT_TRUE(set.Contains("wheel"));
  EXPECT_FALSE(set.Contains("wheel2"));
  EXPECT_FALSE(set.Contains("Wheel"));
  EXPECT_FALSE(set.Contains(""));
  EXPECT_FALSE(set.Contains(absl::string_view("wheel\0", 6)));
  EXPECT_FALSE(set.Contains("*"));
}

TEST(TextSetTest, StarAllowsEveryValueAndSwallowsTheOthers) {
  const TextSet set = TextSet::Make({"wheel", "*", "staff"});
  EXPECT_TRUE(set.Contains("anything"));
  EXPECT_TRUE(set.Contains(""));
  EXPECT_THAT(set.Entries(), ElementsAre("*"));
}

TEST(TextSetTest, HasOneCanonicalForm) {
  EXPECT_THAT(TextSet::Make({"b", "a", "b"}).Entries(), ElementsAre("a", "b"));
  EXPECT_EQ(TextSet::Make({"b", "a", "b"}), TextSet::Make({"a", "b"}));
}

TEST(TextSetTest, MeetIsTheIntersection) {
  const TextSet ab = TextSet::Make({"a", "b"});
  const TextSet bc = TextSet::Make({"b", "c"});
  const TextSet all = TextSet::Make({"*"});
  EXPECT_THAT(Meet(ab, bc).Entries(), ElementsAre("b"));
  EXPECT_EQ(Meet(ab, all), ab);
  EXPECT_EQ(Meet(all, ab), ab);
  EXPECT_THAT(Meet(ab, TextSet()).Entries(), IsEmpty());
}

TEST(TextSetTest, DecimalNumbersAreWrittenInOneWay) {
  EXPECT_OK(TextSet::MakeDecimal({"0", "1000", "-1", "*"}));
  for (const char* text : {"", "007", "+1", "-", "-0", "1 ", "0x10", "1e3", "00"}) {
    EXPECT_THAT(TextSet::MakeDecimal({text}), StatusIs(absl::StatusCode::kInvalidArgument)) << text;
  }
}

}  // namespace
}  // namespace capbroker::authority
