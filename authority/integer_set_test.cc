#include "authority/integer_set.h"

#include <cstdint>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace capbroker::authority {
namespace {

using ::testing::ElementsAre;

constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();

TEST(IntegerSetTest, EmptyAllowsNothing) {
  for (int64_t value : {int64_t{0}, int64_t{1}, int64_t{64}, int64_t{-1}, kLowest}) {
    EXPECT_FALSE(IntegerSet().Contains(value)) << value;
  }
}

TEST(IntegerSetTest, AllowsWhatItHoldsAndNothingElse) {
  const IntegerSet set({0, 63, 64, -1, kLowest});
  for (int64_t value : {int64_t{0}, int64_t{63}, int64_t{64}, int64_t{-1}, kLowest}) {
    EXPECT_TRUE(set.Contains(value)) << value;
  }
  // Also not those that are equal modulo the width of a shift.
  for (int64_t value : {1, 62, 65, 127, 128, -2, -64}) EXPECT_FALSE(set.Contains(value)) << value;
}

TEST(IntegerSetTest, HasOneCanonicalForm) {
  EXPECT_THAT(IntegerSet({100, 3, -5, 3}).Entries(), ElementsAre(-5, 3, 100));
  EXPECT_EQ(IntegerSet({100, 3, -5, 3}), IntegerSet({3, -5, 100}));
}

TEST(IntegerSetTest, MeetIsTheIntersection) {
  EXPECT_THAT(Meet(IntegerSet({1, 2, 100, 200}), IntegerSet({2, 3, 200, 300})).Entries(),
              ElementsAre(2, 200));
  EXPECT_TRUE(Meet(IntegerSet({1}), IntegerSet()).empty());
}

}  // namespace
}  // namespace capbroker::authority
