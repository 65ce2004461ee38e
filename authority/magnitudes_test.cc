#include "authority/magnitudes.h"

#include <cstdint>
#include <limits>

#include "gtest/gtest.h"

namespace capbroker::authority {
namespace {

TEST(MaximumTest, UnsetAllowsNotEvenZero) {
  EXPECT_FALSE(Maximum().Allows(0));
  EXPECT_FALSE(Maximum().Allows(1));
}

TEST(MaximumTest, AllowsUpToItself) {
  EXPECT_TRUE(Maximum(5).Allows(0));
  EXPECT_TRUE(Maximum(5).Allows(5));
  EXPECT_FALSE(Maximum(5).Allows(6));
  EXPECT_FALSE(Maximum(5).Allows(std::numeric_limits<uint64_t>::max()));
}

TEST(MaximumTest, MeetIsTheSmaller) {
  EXPECT_EQ(Meet(Maximum(5), Maximum(3)), Maximum(3));
  EXPECT_EQ(Meet(Maximum(), Maximum(3)), Maximum());
}

TEST(FlagsTest, UnsetAllowsNoBit) {
  EXPECT_TRUE(Flags().Allows(0)) << "asks for nothing";
  EXPECT_FALSE(Flags().Allows(1));
}

TEST(FlagsTest, AllowsSubsetsOfItsBits) {
  EXPECT_TRUE(Flags(0600).Allows(0400));
  EXPECT_TRUE(Flags(0600).Allows(0600));
  EXPECT_FALSE(Flags(0600).Allows(0640));
  EXPECT_FALSE(Flags(0600).Allows(uint64_t{1} << 63));
}

TEST(FlagsTest, MeetIsTheCommonBits) {
  EXPECT_EQ(Meet(Flags(0644), Flags(0600)), Flags(0600));
  EXPECT_EQ(Meet(Flags(1), Flags(2)), Flags());
}

}  // namespace
}  // namespace capbroker::authority
