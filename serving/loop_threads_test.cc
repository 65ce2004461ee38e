#include "serving/loop_threads.h"

#include <unistd.h>

#include <atomic>
#include <memory>
#include <thread>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace capbroker::serving {
namespace {

class LoopThreadsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(loop_, EventLoop::Create());
    threads_ = std::make_unique<LoopThreads>(loop_.get(), [this] { return most_.load(); });
    main_ = std::thread([this] { threads_->Run(); });
  }
  void TearDown() override {
    loop_->Stop();
    main_.join();
    threads_.reset();
  }

  // A handler that may block.
  template <typename Handler>
  void Post(Handler handler) {
    loop_->Post([this, handler] {
      const LoopThreads::Held held(*threads_, loop_->HasWork());
      handler();
    });
  }

  // Here, so that they outlive the threads that wait for them.
  absl::Notification release_;
  absl::Notification next_;
  std::atomic<int> most_{8};
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<LoopThreads> threads_;
  std::thread main_;
};

TEST_F(LoopThreadsTest, ABlockedHandlerDelaysTheNextByMillisecondsAtMost) {
  Post([this] { release_.WaitForNotification(); });
  usleep(20'000);
  const absl::Time start = absl::Now();
  Post([this] { next_.Notify(); });
  EXPECT_TRUE(next_.WaitForNotificationWithTimeout(absl::Seconds(10)));
  EXPECT_LT(absl::Now() - start, absl::Seconds(2));
  release_.Notify();
}

TEST_F(LoopThreadsTest, AsManyHandlersBlockAtOnceAsThereMayBeThreads) {
  std::atomic<int> inside{0};
  for (int i = 0; i < 12; ++i) {
    Post([&] {
      ++inside;
      release_.WaitForNotification();
    });
  }
  const absl::Time end = absl::Now() + absl::Seconds(20);
  while (inside < 8 && absl::Now() < end) usleep(1000);
  usleep(50'000);
  EXPECT_EQ(inside, 8);
  release_.Notify();
  while (inside < 12 && absl::Now() < end) usleep(1000);
  EXPECT_EQ(inside, 12);
}

TEST_F(LoopThreadsTest, EveryHandlerRunsOnceWhateverTheyTake) {
  std::atomic<int> ran{0};
  constexpr int kHandlers = 2000;
  for (int i = 0; i < kHandlers; ++i) {
    Post([&ran, i] {
      if (i % 97 == 0) usleep(3000);
      ++ran;
    });
    if (i % 50 == 0) usleep(2000);
  }
  const absl::Time end = absl::Now() + absl::Seconds(20);
  while (ran < kHandlers && absl::Now() < end) usleep(1000);
  EXPECT_EQ(ran, kHandlers);
}

TEST_F(LoopThreadsTest, HasNoSecondThreadForHandlersThatDoNotBlock) {
  std::atomic<std::thread::id> ran{};
  loop_->Post([&] {
    ran = std::this_thread::get_id();
    next_.Notify();
  });
  next_.WaitForNotification();
  EXPECT_TRUE(ran.load() == main_.get_id());
}

TEST_F(LoopThreadsTest, UsesNoProcessorTimeWhenNothingIsCalled) {
  std::atomic<int> ran{0};
  for (int i = 0; i < 10; ++i) {
    Post([&] { ++ran; });
    usleep(5000);
  }
  usleep(100'000);
  const clock_t before = clock();
  usleep(500'000);
  EXPECT_LT(clock() - before, CLOCKS_PER_SEC / 200);
  EXPECT_EQ(ran, 10);
}

TEST_F(LoopThreadsTest, GoesOnWithOneThreadAloneWhenThereMayBeNoMore) {
  most_ = 1;
  std::atomic<int> ran{0};
  for (int i = 0; i < 100; ++i) Post([&] { ++ran; });
  const absl::Time end = absl::Now() + absl::Seconds(20);
  while (ran < 100 && absl::Now() < end) usleep(1000);
  EXPECT_EQ(ran, 100);
}

}  // namespace
}  // namespace capbroker::serving
