#include "transport/polling.h"

#include <time.h>

#include "gtest/gtest.h"

namespace capbroker::transport {
namespace {

int64_t CpuNs() {
  timespec used;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return int64_t{used.tv_sec} * 1'000'000'000 + used.tv_nsec;
}

TEST(PollingTest, NobodyLooksBeforePacketsHavePaidForSeveralLooks) {
  Polling polling;
  EXPECT_FALSE(polling.looks());
  for (int64_t earned = kEarnedNs; earned < kMostSavedNs; earned += kEarnedNs) {
    polling.Earn();
    EXPECT_FALSE(polling.looks());
  }
  polling.Earn();
  EXPECT_TRUE(polling.looks());
}

TEST(PollingTest, WhoIsQuietCostsALookOrAFewAndThenNothing) {
  Polling polling;
  for (int i = 0; i < 1'000'000; ++i) polling.Earn();
  int looks = 0;
  for (; polling.looks(); ++looks) EXPECT_FALSE(polling.Look([] { return false; }));
  EXPECT_LE(looks, kMostSavedNs / kLookNs);
}

// INVARIANT(nobody-spins-for-a-stranger): a peer that always comes a moment too late.
TEST(PollingTest, LookingCostsNoMoreThanWhatWasEarned) {
  Polling polling;
  constexpr int kPackets = 2000;
  const int64_t begun = CpuNs();
  for (int i = 0; i < kPackets; ++i) {
    if (polling.looks()) {
      EXPECT_FALSE(polling.Look([] { return false; }));
    }
    polling.Earn();
  }
  // The rest is this loop, and the reading of clocks.
  EXPECT_LT(CpuNs() - begun, kPackets * kEarnedNs * 3 / 2);
}

// As on one CPU, where looking keeps the peer from answering.
TEST(PollingTest, WhoAlwaysLooksInVainSoonHardlyEverLooks) {
  Polling polling;
  int looks = 0;
  for (int i = 0; i < 200'000; ++i) {
    if (polling.looks()) {
      EXPECT_FALSE(polling.Look([] { return false; }));
      ++looks;
    }
    polling.Earn();
  }
  // Five at a time, at most.
  EXPECT_LE(looks, 5 * (200'000 / kLongestWait + 10));
  EXPECT_GE(looks, 10);
}

TEST(PollingTest, WhatIsFoundAtOnceCostsNextToNothing) {
  Polling polling;
  for (int64_t earned = 0; earned < kMostSavedNs; earned += kEarnedNs) polling.Earn();
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(polling.looks());
    EXPECT_TRUE(polling.Look([] { return true; }));
    polling.Earn();
  }
}

}  // namespace
}  // namespace capbroker::transport
