#include "serving/events/event_loop.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace capbroker::serving {
namespace {

// A socket whose reader counts bytes, a bounded number in each turn.
struct Counted {
  explicit Counted(int most) : most(most) {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    reader.Reset(ends[0]);
    writer.Reset(ends[1]);
  }
  Left Read() {
    ++turns;
    for (int i = 0; i < most; ++i) {
      char byte;
      if (read(reader.get(), &byte, 1) != 1) return Left::kNothing;
      ++bytes;
    }
    return Left::kMaybeMore;
  }
  void Write(int count) {
    for (int i = 0; i < count; ++i) ASSERT_EQ(write(writer.get(), "x", 1), 1);
  }

  const int most;
  UniqueFd reader;
  UniqueFd writer;
  // Several threads of a loop may call one watcher.
  std::atomic<int> bytes{0};
  std::atomic<int> turns{0};
};

class EventLoopTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_OK_AND_ASSIGN(loop_, EventLoop::Create()); }

  uint64_t Watch(Counted& counted) {
    return loop_
        ->Add(counted.reader, EPOLLIN | EPOLLRDHUP, [&counted](uint32_t) { return counted.Read(); })
        .value_or(0);
  }
  // Runs until `done`, or for so long.
  template <typename Done>
  void RunUntil(Done done, absl::Duration most = absl::Seconds(20)) {
    const absl::Time end = absl::Now() + most;
    while (!done() && absl::Now() < end) {
      const uint64_t timer = loop_->RunAt(absl::Now() + absl::Milliseconds(5), [] {});
      loop_->RunOnce();
      loop_->Cancel(timer);
    }
  }
  void RunFor(absl::Duration time) {
    RunUntil([] { return false; }, time);
  }

  std::unique_ptr<EventLoop> loop_;
};

TEST_F(EventLoopTest, CallsAgainWhileAWatcherLeavesSomething) {
  Counted a(3);
  Watch(a);
  a.Write(10);
  RunUntil([&] { return a.bytes == 10; });
  EXPECT_EQ(a.bytes, 10);
}

TEST_F(EventLoopTest, LosesNothingWhenTheDescriptorsChangeInAnyOrder) {
  std::vector<std::unique_ptr<Counted>> all;
  for (int i = 0; i < 4; ++i) {
    all.push_back(std::make_unique<Counted>(i + 1));
    Watch(*all.back());
  }
  int written[4] = {};
  unsigned random = 1;
  for (int round = 0; round < 3000; ++round) {
    random = random * 1103515245 + 12345;
    const int which = (random >> 16) % 4;
    const int count = (random >> 20) % 9;
    // Some wait for a while, some bursts are of one descriptor alone.
    if (written[which] - all[which]->bytes < 100) {
      all[which]->Write(count);
      written[which] += count;
    }
    for (unsigned turns = (random >> 24) % 4; turns > 0; --turns) {
      loop_->Post([] {});
      loop_->RunOnce();
      if (all[which]->bytes < written[which]) loop_->RunOnce();
    }
  }
  for (int i = 0; i < 4; ++i) {
    RunUntil([&] { return all[i]->bytes == written[i]; });
  }
  for (int i = 0; i < 4; ++i) EXPECT_EQ(all[i]->bytes, written[i]) << i;
}

TEST_F(EventLoopTest, ASenderThatNeverStopsKeepsNobodyFromItsTurn) {
  Counted busy(4);
  Counted quiet(4);
  Watch(busy);
  Watch(quiet);
  busy.Write(100);
  quiet.Write(1);
  for (int i = 0; i < 40 && quiet.bytes == 0; ++i) {
    loop_->RunOnce();
    busy.Write(4);
  }
  EXPECT_EQ(quiet.bytes, 1);
  EXPECT_LE(busy.turns, 20);
}

TEST_F(EventLoopTest, WaitsForADescriptorThatHasEndedWithoutSpinning) {
  Counted a(1);
  Watch(a);
  for (int i = 0; i < 5; ++i) {
    a.Write(1);
    RunUntil([&] { return a.bytes == i + 1; });
  }
  a.writer.Reset();
  const int before = a.turns;
  RunFor(absl::Milliseconds(50));
  EXPECT_GT(a.turns, before);
  EXPECT_LE(a.turns, before + 3);
}

TEST_F(EventLoopTest, AWatcherMayRemoveItselfAndItsNumberBeUsedAgain) {
  for (int i = 0; i < 100; ++i) {
    auto a = std::make_unique<Counted>(1);
    uint64_t watch = 0;
    bool called = false;
    ASSERT_OK_AND_ASSIGN(watch, loop_->Add(a->reader, EPOLLIN, [&](uint32_t) {
      called = true;
      (void)a->Read();
      loop_->Remove(watch, a->reader);
      a->reader.Reset();
      return Left::kMaybeMore;
    }));
    a->Write(2);
    RunUntil([&] { return called; });
    EXPECT_TRUE(called);
    EXPECT_EQ(a->bytes, 1);
  }
}

TEST_F(EventLoopTest, StopEndsEveryThreadThatRuns) {
  Counted a(1);
  Watch(a);
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([this] {
      while (!loop_->stopped()) loop_->RunOnce();
    });
  for (int i = 0; i < 100; ++i) {
    a.Write(1);
    usleep(100);
  }
  loop_->Stop();
  for (std::thread& thread : threads) thread.join();
}

TEST_F(EventLoopTest, RunsTimersInTheirOrderAndNotTheCancelled) {
  std::vector<int> ran;
  const absl::Time now = absl::Now();
  loop_->RunAt(now + absl::Milliseconds(20), [&] { ran.push_back(2); });
  loop_->RunAt(now + absl::Milliseconds(10), [&] { ran.push_back(1); });
  const uint64_t cancelled = loop_->RunAt(now, [&] { ran.push_back(0); });
  loop_->Cancel(cancelled);
  const absl::Time end = now + absl::Seconds(10);
  while (ran.size() < 2 && absl::Now() < end) loop_->RunOnce();
  EXPECT_EQ(ran, (std::vector<int>{1, 2}));
}

// INVARIANT(no-hang)
TEST_F(EventLoopTest, NoFunctionIsForgottenWhileItsThreadBeginsToWait) {
  std::atomic<int> ran{0};
  std::thread waits([&] {
    while (!loop_->stopped()) loop_->RunOnce();
  });
  const absl::Time end = absl::Now() + absl::Seconds(20);
  int posted = 0;
  for (; posted < 20000 && absl::Now() < end; ++posted) {
    loop_->Post([&ran] { ++ran; });
    while (ran <= posted && absl::Now() < end) {
    }
  }
  EXPECT_EQ(posted, 20000);
  EXPECT_EQ(ran, posted);
  loop_->Stop();
  waits.join();
}

TEST_F(EventLoopTest, AThreadThatPostsToItselfIsNotWoken) {
  bool ran = false;
  loop_->Post([&] { loop_->Post([&] { ran = true; }); });
  loop_->RunOnce();
  loop_->RunOnce();
  EXPECT_TRUE(ran);
  EXPECT_FALSE(loop_->HasWork());
}

class CountedInbox final : public Inbox {
 public:
  bool Serve() override {
    if (work == 0) return false;
    --work;
    ++served;
    return true;
  }
  bool Rest() override {
    ++rests;
    return work == 0;
  }
  bool HasWork() const override { return work > 0; }

  std::atomic<int> work{0};
  std::atomic<int> served{0};
  std::atomic<int> rests{0};
};

TEST_F(EventLoopTest, AnInboxIsServedBeforeTheLoopWaits) {
  const auto inbox = std::make_shared<CountedInbox>();
  loop_->Add(inbox);
  EXPECT_FALSE(loop_->HasWork());
  inbox->work = 5;
  EXPECT_TRUE(loop_->HasWork());
  const absl::Time begun = absl::Now();
  while (inbox->served < 5) loop_->RunOnce(absl::Seconds(1));
  EXPECT_LT(absl::Now() - begun, absl::Milliseconds(500));
  // It says that the loop waits before that does.
  const int rests = inbox->rests;
  loop_->RunOnce(absl::Milliseconds(1));
  loop_->RunOnce(absl::Milliseconds(1));
  EXPECT_GT(inbox->rests, rests);
  loop_->Remove(inbox);
  inbox->work = 1;
  loop_->RunOnce(absl::ZeroDuration());
  EXPECT_EQ(inbox->served, 5);
}

class LateInbox final : public Inbox {
 public:
  bool Serve() override { return false; }
  bool Rest() override { return false; }
  bool HasWork() const override { return true; }
};

TEST_F(EventLoopTest, WhatAnInboxFindsLastIsNotWaitedFor) {
  loop_->Add(std::make_shared<LateInbox>());
  const absl::Time begun = absl::Now();
  for (int i = 0; i < 20; ++i) loop_->RunOnce(absl::Seconds(10));
  EXPECT_LT(absl::Now() - begun, absl::Seconds(5));
}

// INVARIANT(nobody-spins-for-a-stranger)
TEST_F(EventLoopTest, AnInboxThatIsNeverEmptyLeavesDescriptorsTheirTurn) {
  const auto inbox = std::make_shared<CountedInbox>();
  loop_->Add(inbox);
  inbox->work = 1'000'000;
  Counted counted(16);
  Watch(counted);
  counted.Write(3);
  int turns = 0;
  while (counted.bytes < 3 && turns < 1000) {
    loop_->RunOnce();
    ++turns;
  }
  EXPECT_LT(turns, 64);
}

// INVARIANT(no-hang): a thread that serves may be held up there, and another one wait by the time
// it goes on. What is to wake that one must not be lost to it.
TEST_F(EventLoopTest, AThreadThatHasServedAnInboxTakesNoEvent) {
  const auto inbox = std::make_shared<CountedInbox>();
  loop_->Add(inbox);
  inbox->work = 1'000'000;
  Counted counted(1);
  Watch(counted);
  for (int i = 0; i < 200; ++i) {
    counted.Write(1);
    const int served = inbox->served;
    const int turns = counted.turns;
    loop_->RunOnce();
    EXPECT_LE((inbox->served - served) + (counted.turns - turns), 1) << i;
  }
}

}  // namespace
}  // namespace capbroker::serving
