#include "serving/lane/kept_memory.h"

#include <sys/stat.h>

#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace capbroker::serving {
namespace {

constexpr size_t kMebibyte = 1 << 20;

int64_t PagesOf(FdRef memfd) {
  struct stat status = {};
  EXPECT_EQ(fstat(memfd.get(), &status), 0);
  return status.st_blocks - 8;  // without the one that tells who claims it
}

class KeptMemoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(loop_, EventLoop::Create());
    kept_ = std::make_shared<KeptMemory>(loop_.get(),
                                         KeptMemoryOptions{.max_bytes = 4 * kMebibyte,
                                                           .idle = absl::Milliseconds(20),
                                                           .claimed = absl::Milliseconds(200)});
  }

  static void Fill(const KeptMemory::Loan& loan) {
    EXPECT_OK(loan.memory().Write(kMebibyte, [](char* bytes) {
      std::memset(bytes, 'x', kMebibyte);
      return true;
    }));
  }

  // The client, which has read the answer.
  static void Unclaim(FdRef memfd) {
    transport::MessageMemory::Map(memfd, kMebibyte).value()->Unclaim();
  }

  // Until nothing is kept, or for some seconds.
  void RunLoop() {
    const absl::Time end = absl::Now() + absl::Seconds(10);
    while (kept_->bytes() != 0 && absl::Now() < end) loop_->RunOnce(absl::Milliseconds(5));
  }

  std::unique_ptr<EventLoop> loop_;
  std::shared_ptr<KeptMemory> kept_;
};

TEST_F(KeptMemoryTest, IsLentToOneCallAtATime) {
  KeptMemory::Place place;
  EXPECT_FALSE(kept_->Lend(place).valid());
  KeptMemory::Loan loan = kept_->Replace(place, kMebibyte);
  ASSERT_TRUE(loan.valid());
  EXPECT_FALSE(kept_->Lend(place).valid());
  EXPECT_FALSE(kept_->Replace(place, kMebibyte).valid());
  loan.GiveBack();
  KeptMemory::Loan next = kept_->Lend(place);
  EXPECT_TRUE(next.valid());
  // Given back once, not on behalf of another.
  loan.GiveBack();
  loan = KeptMemory::Loan();
  EXPECT_FALSE(kept_->Lend(place).valid());
}

TEST_F(KeptMemoryTest, IsGivenBackWhenItIsIdle) {
  KeptMemory::Place place;
  KeptMemory::Loan loan = kept_->Replace(place, kMebibyte);
  Fill(loan);
  ASSERT_OK_AND_ASSIGN(const UniqueFd memfd, loan.memory().Share());
  loan.GiveBack();
  Unclaim(memfd);
  EXPECT_GT(PagesOf(memfd), 0);
  RunLoop();
  EXPECT_EQ(kept_->bytes(), 0u);
  EXPECT_EQ(PagesOf(memfd), 0);
  EXPECT_FALSE(kept_->Lend(place).valid());
  EXPECT_TRUE(kept_->Replace(place, kMebibyte).valid());
}

TEST_F(KeptMemoryTest, IsNotGivenBackWhileItIsLent) {
  KeptMemory::Place place;
  const KeptMemory::Loan loan = kept_->Replace(place, kMebibyte);
  Fill(loan);
  ASSERT_OK_AND_ASSIGN(const UniqueFd memfd, loan.memory().Share());
  const absl::Time end = absl::Now() + absl::Milliseconds(200);
  while (absl::Now() < end) loop_->RunOnce(absl::Milliseconds(5));
  EXPECT_GT(PagesOf(memfd), 0);
}

TEST_F(KeptMemoryTest, IsBoundedForAllPlacesTogether) {
  std::vector<KeptMemory::Place> places(100);
  size_t made = 0;
  for (KeptMemory::Place& place : places) made += kept_->Replace(place, kMebibyte).valid();
  EXPECT_EQ(made, 4u);
  EXPECT_EQ(kept_->bytes(), 4 * kMebibyte);
  // A place that ends makes room.
  places[0].Clear();
  EXPECT_TRUE(kept_->Replace(places[99], kMebibyte).valid());
  EXPECT_FALSE(kept_->Replace(places[98], kMebibyte).valid());
}

TEST_F(KeptMemoryTest, CountsWhatItTakesWhateverWasAskedFor) {
  KeptMemory::Place place;
  for (const size_t size : {size_t{0}, size_t{1}, size_t{100'000}, kMebibyte + 1}) {
    EXPECT_TRUE(kept_->Replace(place, size).valid());
    EXPECT_GE(kept_->bytes(), size);
    place.Clear();
    EXPECT_EQ(kept_->bytes(), 0u);
  }
}

TEST_F(KeptMemoryTest, WhatIsClaimedIsNotGivenBackAndIsForgottenInTheEnd) {
  KeptMemory::Place place;
  KeptMemory::Loan loan = kept_->Replace(place, kMebibyte);
  Fill(loan);
  ASSERT_OK_AND_ASSIGN(const UniqueFd memfd, loan.memory().Share());
  loan.GiveBack();
  RunLoop();
  EXPECT_EQ(kept_->bytes(), 0u);
  EXPECT_GT(PagesOf(memfd), 0);
  EXPECT_FALSE(kept_->Lend(place).valid());
  EXPECT_TRUE(kept_->Replace(place, kMebibyte).valid());
}

TEST_F(KeptMemoryTest, OfAPlaceThatEndsNothingIsLeftToItsClient) {
  KeptMemory::Place place;
  KeptMemory::Loan loan = kept_->Replace(place, kMebibyte);
  Fill(loan);
  ASSERT_OK_AND_ASSIGN(const UniqueFd memfd, loan.memory().Share());
  Unclaim(memfd);
  loan = KeptMemory::Loan();
  place.Clear();
  EXPECT_EQ(kept_->bytes(), 0u);
  EXPECT_EQ(PagesOf(memfd), 0);
}

}  // namespace
}  // namespace capbroker::serving
