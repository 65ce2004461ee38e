#include "serving/events/loop_threads.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/status_matchers.h"
#include "base/unique_fd.h"
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
      const LoopThreads::Held held(*threads_);
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

// Answers each packet with itself; "block" after the release.
class Echo final : public Watcher {
 public:
  Echo(LoopThreads* threads, UniqueFd fd, absl::Notification* release)
      : threads_(*threads), fd_(std::move(fd)), release_(*release) {}

  Left OnReady(uint32_t) override {
    ++ready_;
    return Serve(MSG_DONTWAIT) ? Left::kMaybeMore : Left::kNothing;
  }
  bool BeginAttending() override {
    const timeval quiet = {0, 20'000};
    return setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &quiet, sizeof quiet) == 0;
  }
  bool Attend() override {
    ++attended_;
    return Serve(0);
  }

  // Attended beside its descriptor from now on, until it is told otherwise.
  void GoBeside(bool goes) { goes_beside_ = goes; }
  bool BeginBeside() override {
    if (goes_beside_) ++begun_beside_;
    return goes_beside_;
  }
  bool AttendBeside() override {
    if (holds_up_beside_) {
      const LoopThreads::Held held(threads_);
      release_.WaitForNotification();
    }
    if (quiet_beside_) {
      const int suspended = suspended_beside_;
      const absl::Time end = absl::Now() + absl::Seconds(10);
      while (suspended_beside_ == suspended && absl::Now() < end) usleep(1000);
      return false;
    }
    usleep(100);
    return goes_beside_;
  }
  // Nothing comes there any more.
  void FallQuietBeside() { quiet_beside_ = true; }
  void EndBeside() override { ++ended_beside_; }
  void SuspendBeside() override { ++suspended_beside_; }
  void HoldUpBeside() { holds_up_beside_ = true; }
  int suspended_beside() const { return suspended_beside_; }
  int begun_beside() const { return begun_beside_; }
  int ended_beside() const { return ended_beside_; }

  FdRef fd() const { return fd_; }
  int ready() const { return ready_; }
  int attended() const { return attended_; }

 private:
  bool Serve(int flags) {
    char bytes[16];
    const ssize_t size = recv(fd_.get(), bytes, sizeof bytes, flags);
    if (size <= 0) return false;
    if (absl::string_view(bytes, static_cast<size_t>(size)) == "block") {
      const LoopThreads::Held held(threads_);
      release_.WaitForNotification();
    }
    // Of a call that had to wait for the other one.
    const LoopThreads::Held held(threads_);
    return send(fd_.get(), bytes, static_cast<size_t>(size), MSG_NOSIGNAL) == size;
  }

  LoopThreads& threads_;
  const UniqueFd fd_;
  absl::Notification& release_;
  std::atomic<int> ready_{0};
  std::atomic<int> attended_{0};
  std::atomic<bool> goes_beside_{false};
  std::atomic<int> begun_beside_{0};
  std::atomic<int> ended_beside_{0};
  std::atomic<int> suspended_beside_{0};
  std::atomic<bool> holds_up_beside_{false};
  std::atomic<bool> quiet_beside_{false};
};

class AttendedTest : public LoopThreadsTest {
 protected:
  void SetUp() override {
    LoopThreadsTest::SetUp();
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    client_ = UniqueFd(ends[0]);
    echo_ = std::make_shared<Echo>(threads_.get(), UniqueFd(ends[1]), &release_);
    ASSERT_OK_AND_ASSIGN(watch_, loop_->Add(echo_->fd(), EPOLLIN, echo_));
  }

  void Say(absl::string_view what) {
    ASSERT_EQ(send(client_.get(), what.data(), what.size(), 0), static_cast<ssize_t>(what.size()));
  }
  std::string Hear() {
    char bytes[16];
    const ssize_t size = recv(client_.get(), bytes, sizeof bytes, 0);
    return std::string(bytes, size < 0 ? 0 : static_cast<size_t>(size));
  }
  void CallUntil(absl::FunctionRef<bool()> enough) {
    const absl::Time end = absl::Now() + absl::Seconds(20);
    while (!enough() && absl::Now() < end) {
      Say("a");
      ASSERT_EQ(Hear(), "a");
    }
    ASSERT_TRUE(enough());
  }
  // Calls until a thread attends the descriptor.
  void MakeBusy() {
    CallUntil([this] { return echo_->attended() >= 10; });
  }

  UniqueFd client_;
  std::shared_ptr<Echo> echo_;
  uint64_t watch_ = 0;
};

TEST_F(AttendedTest, ADescriptorThatIsBusyAloneIsReadWithoutTheLoop) {
  // On a machine so slow that the descriptor looked quiet, the loop has it for a while again.
  int fewest = 500;
  for (int round = 0; round < 20 && fewest > 0; ++round) {
    MakeBusy();
    const int before = echo_->ready();
    for (int i = 0; i < 500; ++i) {
      Say("a");
      ASSERT_EQ(Hear(), "a");
    }
    fewest = std::min(fewest, echo_->ready() - before);
  }
  EXPECT_EQ(fewest, 0);
}

TEST_F(AttendedTest, OthersAreServedMeanwhile) {
  MakeBusy();
  Post([this] { next_.Notify(); });
  EXPECT_TRUE(next_.WaitForNotificationWithTimeout(absl::Seconds(10)));
  Say("a");
  EXPECT_EQ(Hear(), "a");
}

TEST_F(AttendedTest, AHandlerThatBlocksGivesTheDescriptorBack) {
  MakeBusy();
  Say("block");
  for (int i = 0; i < 3; ++i) {
    Say("a");
    EXPECT_EQ(Hear(), "a");
  }
  release_.Notify();
  EXPECT_EQ(Hear(), "block");
}

TEST_F(AttendedTest, AQuietDescriptorIsWatchedAgainAndNoThreadRuns) {
  MakeBusy();
  usleep(100'000);
  const clock_t before = clock();
  usleep(500'000);
  EXPECT_LT(clock() - before, CLOCKS_PER_SEC / 200);
  const int ready = echo_->ready();
  Say("a");
  EXPECT_EQ(Hear(), "a");
  EXPECT_GT(echo_->ready(), ready);
}

// INVARIANT(nobody-spins-for-a-stranger)
TEST_F(AttendedTest, NobodyLooksAfterALaneThatWasTakenBack) {
  MakeBusy();
  Say("block");
  Say("a");
  EXPECT_EQ(Hear(), "a");
  release_.Notify();
  EXPECT_EQ(Hear(), "block");
  usleep(100'000);
  rusage before = {};
  getrusage(RUSAGE_SELF, &before);
  usleep(500'000);
  rusage after = {};
  getrusage(RUSAGE_SELF, &after);
  // One wait a millisecond would be 500.
  EXPECT_LT(after.ru_nvcsw - before.ru_nvcsw, 100);
}

TEST_F(AttendedTest, WatchingForMoreEndsIt) {
  MakeBusy();
  const int ready = echo_->ready();
  ASSERT_OK(loop_->Modify(watch_, EPOLLIN | EPOLLOUT));
  const absl::Time end = absl::Now() + absl::Seconds(10);
  while (echo_->ready() == ready && absl::Now() < end) usleep(1000);
  EXPECT_GT(echo_->ready(), ready);
}

TEST_F(AttendedTest, TheLoopHasADescriptorThatIsAttendedBeside) {
  echo_->GoBeside(true);
  CallUntil([this] { return echo_->begun_beside() > 0; });
  const int ready = echo_->ready();
  for (int i = 0; i < 1000; ++i) {
    Say("a");
    ASSERT_EQ(Hear(), "a");
  }
  EXPECT_GE(echo_->ready() - ready, 1000);
  // Or more than once, if its thread had no CPU for a while: then it looked quiet.
  EXPECT_LE(echo_->begun_beside() - echo_->ended_beside(), 1) << "one thread attends";
  EXPECT_EQ(echo_->attended(), 0);
  echo_->GoBeside(false);
  const absl::Time end = absl::Now() + absl::Seconds(10);
  while (echo_->ended_beside() < echo_->begun_beside() && absl::Now() < end) usleep(1000);
  EXPECT_EQ(echo_->ended_beside(), echo_->begun_beside());
}

TEST_F(AttendedTest, AThreadBesideAQuietLaneAttendsTheOneThatIsBusy) {
  echo_->GoBeside(true);
  CallUntil([this] { return echo_->begun_beside() > 0; });
  echo_->FallQuietBeside();
  usleep(5000);
  const std::shared_ptr<Echo> quiet = echo_;
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  client_ = UniqueFd(ends[0]);
  echo_ = std::make_shared<Echo>(threads_.get(), UniqueFd(ends[1]), &release_);
  ASSERT_OK_AND_ASSIGN(watch_, loop_->Add(echo_->fd(), EPOLLIN, echo_));
  const absl::Time begun = absl::Now();
  MakeBusy();
  EXPECT_LT(absl::Now() - begun, absl::Seconds(5)) << "not at the end of the other's time";
  EXPECT_EQ(quiet->ended_beside(), quiet->begun_beside());
}

TEST_F(AttendedTest, WhatWaitsBesideAThreadThatIsHeldUpIsLeftToTheLoop) {
  echo_->GoBeside(true);
  for (int i = 0; i < 1000; ++i) {
    Say("a");
    ASSERT_EQ(Hear(), "a");
  }
  ASSERT_GE(echo_->begun_beside(), 1);
  const int suspended = echo_->suspended_beside();
  echo_->HoldUpBeside();
  const absl::Time end = absl::Now() + absl::Seconds(10);
  while (echo_->suspended_beside() == suspended && absl::Now() < end) usleep(1000);
  EXPECT_EQ(echo_->suspended_beside(), suspended + 1);
  EXPECT_EQ(echo_->begun_beside() - echo_->ended_beside(), 1) << "its thread is still there";
  release_.Notify();
  while (echo_->ended_beside() < echo_->begun_beside() && absl::Now() < end) usleep(1000);
  EXPECT_EQ(echo_->ended_beside(), echo_->begun_beside());
  EXPECT_EQ(echo_->suspended_beside(), suspended + 1);
}

TEST_F(AttendedTest, OneThreadAloneAttendsNothing) {
  most_ = 1;
  for (int i = 0; i < 500; ++i) {
    Say("a");
    ASSERT_EQ(Hear(), "a");
  }
  EXPECT_EQ(echo_->attended(), 0);
}

}  // namespace
}  // namespace capbroker::serving
