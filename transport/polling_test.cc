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

// As on one CPU, too: a peer that mostly runs as soon as it is woken, and sometimes does not.
TEST(PollingTest, WhatIsThereAtOnceIsNoReasonToLook) {
  Polling polling;
  // The scheduler has moved it there: it was on another one, where looking was worth it.
  for (int i = 0; i < 1000; ++i) {
    int looks_until_there = 2;
    if (polling.looks()) (void)polling.Look([&] { return --looks_until_there < 0; });
    polling.Earn();
  }
  int in_vain = 0;
  for (int i = 0; i < 200'000; ++i) {
    if (polling.looks()) {
      const bool there = i % 32 != 0;
      EXPECT_EQ(polling.Look([there] { return there; }), there);
      in_vain += there ? 0 : 1;
    }
    polling.Earn();
  }
  EXPECT_LE(in_vain, 5 * (200'000 / kLongestWait + 10));
}

// A peer on another CPU that pauses now and then is looked for again soon.
TEST(PollingTest, WhoFindsManyIsNotHeldUpByThoseThatItMisses) {
  Polling polling;
  int found = 0;
  for (int i = 0; i < 20'000; ++i) {
    if (polling.looks()) {
      int looks_until_there = i % 500 == 0 ? 1'000'000 : 2;
      found += polling.Look([&] { return --looks_until_there < 0; }) ? 1 : 0;
    }
    polling.Earn();
  }
  EXPECT_GE(found, 10'000);  // a thread that is not run meanwhile has missed it
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
