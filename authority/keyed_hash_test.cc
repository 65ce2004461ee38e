#include "authority/keyed_hash.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace capbroker::authority {
namespace {

// The key and inputs of the vectors that SipHash's authors published: 00 01 02 ...
constexpr HashKey kKey = {.low = 0x0706050403020100, .high = 0x0f0e0d0c0b0a0908};
std::string Counting(size_t size) {
  std::string text;
  for (size_t i = 0; i < size; ++i) text.push_back(static_cast<char>(i));
  return text;
}

TEST(KeyedHashTest, IsSipHash) {
  EXPECT_EQ(SipHash24(kKey, ""), 0x726fdb47dd0e0e31u);
  EXPECT_EQ(SipHash24(kKey, Counting(1)), 0x74f839c593dc67fdu);
  EXPECT_EQ(SipHash24(kKey, Counting(8)), 0x93f5f5799a932462u);
  EXPECT_EQ(SipHash24(kKey, Counting(15)), 0xa129ca6149be45e5u);
}

TEST(KeyedHashTest, DependsOnKeyTextAndTweak) {
  std::set<uint64_t> hashes;
  for (size_t size = 0; size < 40; ++size) {
    for (uint64_t tweak : {0, 1}) {
      hashes.insert(SipHash13(kKey, Counting(size), tweak));
      hashes.insert(SipHash13({.low = kKey.low, .high = 0}, Counting(size), tweak));
      hashes.insert(SipHash13({.low = 0, .high = kKey.high}, Counting(size), tweak));
    }
  }
  EXPECT_EQ(hashes.size(), 40u * 2 * 3);
}

TEST(KeyedHashTest, TheKeyOfAProcessIsDrawnOnce) {
  EXPECT_EQ(&ProcessHashKey(), &ProcessHashKey());
  EXPECT_TRUE(ProcessHashKey().low != 0 || ProcessHashKey().high != 0);
}

TEST(KeyedHashTest, ATableFindsWhatItHolds) {
  KeyedTextSet set = {"a", "b"};
  EXPECT_TRUE(set.contains(absl::string_view("a")));
  EXPECT_FALSE(set.contains(absl::string_view("c")));
  KeyedIntegerSet integers = {-1, 100};
  EXPECT_TRUE(integers.contains(-1));
  EXPECT_FALSE(integers.contains(1));
}

}  // namespace
}  // namespace capbroker::authority
