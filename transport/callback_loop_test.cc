// Where callbacks run, and what wakes a loop.
#include "transport/callback_loop.h"

#include <poll.h>
#include <sys/resource.h>
#include <time.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "transport/call_for_test.h"
#include "transport/callback_loop_fixture.h"
#include "transport/lane_client.h"
#include "transport/lane_socket.h"
#include "transport/packet.h"
#include "transport/shared_mailbox.h"

namespace capbroker::transport {
namespace {

using CallbackLoopTest = CallbackLoopFixture;

TEST_F(CallbackLoopTest, CallbacksRunInTheLoop) {
  StartCall(lane_);
  const PacketView request = Receive(lane_);
  EXPECT_EQ(request.message, "question");
  Send(lane_, Header(PacketType::kResponse, request.header.call), "answer");
  absl::SleepFor(absl::Milliseconds(50));
  EXPECT_TRUE(answers_.empty());
  const std::vector<Answer> answers = Await(1);
  EXPECT_EQ(answers[0].message, "answer");
  EXPECT_EQ(answered_by_, std::this_thread::get_id());
}

TEST_F(CallbackLoopTest, ALaneIsInOneLoopFromItsFirstCall) {
  EXPECT_TRUE(absl::IsFailedPrecondition(lane_.client->CompleteIn(loop_)));
  ASSERT_OK_AND_ASSIGN(LanePair pair, MakeLane(ClientDescriptors::kRefused));
  LaneClient called(std::move(pair.client));
  StartCall(called, "", [](Reply&) {});
  EXPECT_TRUE(absl::IsFailedPrecondition(called.CompleteIn(loop_)));
}

TEST_F(CallbackLoopTest, AFdThatIsReadableTellsOfAnswersOnceThePumpIsDone) {
  Share(lane_);
  StartCall(lane_);
  const Put put = TakePut();
  while (loop_->Pump()) {
  }
  pollfd readable = {loop_->fd().get(), POLLIN, 0};
  EXPECT_EQ(poll(&readable, 1, 0), 0);
  AnswerPut(lane_, put);
  EXPECT_EQ(poll(&readable, 1, 1000), 1);
  EXPECT_TRUE(loop_->Pump());
  EXPECT_EQ(answers_.size(), 1u);
}

TEST_F(CallbackLoopTest, CallsInFlightEndWithTheirClientOnce) {
  Share(lane_);
  StartCall(lane_, "put");
  StartCall(lane_, std::string(SharedMailbox::kCapacity, 'x'));  // sent
  lane_.client = nullptr;
  ASSERT_EQ(answers_.size(), 2u);
  for (const Answer& answer : answers_) EXPECT_EQ(answer.status, kUnavailable);
  while (loop_->Pump()) {
  }
  EXPECT_EQ(answers_.size(), 2u);
}

TEST_F(CallbackLoopTest, ACallbackMayDestroyItsClientAndAnother) {
  Share(lane_);
  Lane second = MakeLaneInLoop();
  StartCall(second);
  bool destroyed = false;
  StartCall(*lane_.client, "", [&](Reply&) {
    lane_.client = nullptr;
    second.client = nullptr;
    destroyed = true;
  });
  AnswerPut(lane_, TakePut());
  for (int i = 0; i < 1000 && !destroyed; ++i) loop_->RunOnce(absl::Milliseconds(10));
  EXPECT_TRUE(destroyed);
  EXPECT_EQ(answers_.size(), 1u);  // that of the second
}

TEST_F(CallbackLoopTest, NothingIsCalledOnceTheClientIsDestroyed) {
  std::atomic<bool> stop{false};
  std::thread runner([&] {
    while (!stop.load()) loop_->RunOnce(absl::Milliseconds(1));
  });
  for (int round = 0; round < 200; ++round) {
    Lane lane = MakeLaneInLoop();
    auto alive = std::make_unique<std::atomic<int>>(0);
    for (int i = 0; i < 4; ++i) {
      StartCall(*lane.client, "", [&alive](Reply&) {
        alive->fetch_add(1);
        absl::SleepFor(absl::Microseconds(50));
        alive->fetch_add(1);
      });
      const PacketView request = Receive(lane);
      if (i % 2 == 0) Send(lane, Header(PacketType::kResponse, request.header.call));
    }
    absl::SleepFor(absl::Microseconds(round));
    lane.client = nullptr;
    EXPECT_EQ(alive->load(), 8);
    alive = nullptr;
  }
  stop = true;
  loop_->Wake();
  runner.join();
}

// The thread that waits for its own answer receives that of the callback call, too.
TEST_F(CallbackLoopTest, ABlockingCallBesideLeavesTheLoopItsAnswers) {
  std::thread blocking = CallBlocking();
  const PacketHeader waited = AwaitRequest();
  absl::SleepFor(absl::Milliseconds(20));
  StartCall(lane_);
  const uint64_t call = Receive(lane_).header.call;
  Send(lane_, Header(PacketType::kResponse, call));
  Await(1);
  EXPECT_EQ(answered_by_, std::this_thread::get_id());
  Send(lane_, Header(PacketType::kResponse, waited.call));
  blocking.join();
}

// What was to wake the loop may have been a packet of the lane that goes, or one to nobody: the
// packets after it are in the mailbox.
TEST_F(CallbackLoopTest, ALaneThatGoesWakesTheLoop) {
  Lane second = MakeLaneInLoop();
  while (loop_->Pump()) {
  }
  pollfd readable = {loop_->fd().get(), POLLIN, 0};
  ASSERT_EQ(poll(&readable, 1, 0), 0);
  std::thread([&] { ASSERT_OK(second.client->Release()); }).join();
  EXPECT_EQ(poll(&readable, 1, 0), 1);
}

TEST_F(CallbackLoopTest, APacketThatABlockingCallReceivesForNobodyWakesTheLoop) {
  std::thread blocking = CallBlocking();
  const PacketHeader waited = AwaitRequest();
  absl::SleepFor(absl::Milliseconds(30));
  while (loop_->Pump()) {
  }
  Send(lane_, Header(PacketType::kResponse, waited.call + 1000));
  absl::SleepFor(absl::Milliseconds(50));  // it is received
  pollfd readable = {loop_->fd().get(), POLLIN, 0};
  EXPECT_EQ(poll(&readable, 1, 0), 1);
  Send(lane_, Header(PacketType::kResponse, waited.call));
  blocking.join();
}

// INVARIANT(no-hang): who receives for a blocking call leaves what comes after its own answer, of
// which the loop was told while it did.
TEST_F(CallbackLoopTest, WhatABlockingCallDoesNotReceiveTheLoopDoes) {
  std::atomic<bool> stop{false};
  std::atomic<int> answered{0};
  std::thread runner([&] {
    while (!stop.load()) loop_->RunOnce();
  });
  int missed = 0;
  for (int round = 0; round < 1000 && missed == 0; ++round) {
    std::thread blocking = CallBlocking();
    const PacketHeader waited = AwaitRequest();
    StartCall(*lane_.client, "", [&](Reply&) { ++answered; });
    const PacketHeader called = AwaitRequest();
    Send(lane_, Header(PacketType::kResponse, waited.call));
    Send(lane_, Header(PacketType::kResponse, called.call));
    blocking.join();
    const absl::Time until = absl::Now() + absl::Seconds(2);
    while (answered == round && absl::Now() < until) absl::SleepFor(absl::Microseconds(20));
    if (answered == round) ++missed;
  }
  EXPECT_EQ(missed, 0);
  stop = true;
  loop_->Wake();
  runner.join();
}

// INVARIANT(nobody-spins-for-a-stranger)
TEST_F(CallbackLoopTest, AnIdleLoopSleeps) {
  Share(lane_);
  timespec cpu = {};
  long woken = 0;
  std::thread runner([&] {
    loop_->RunOnce(absl::Milliseconds(100));
    loop_->RunOnce(absl::Milliseconds(100));
    rusage before;
    getrusage(RUSAGE_THREAD, &before);
    loop_->RunOnce(absl::Seconds(1));
    rusage after;
    getrusage(RUSAGE_THREAD, &after);
    woken = after.ru_nvcsw - before.ru_nvcsw;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
  });
  runner.join();
  EXPECT_LE(woken, 2);
  EXPECT_EQ(cpu.tv_sec, 0);
  EXPECT_LT(cpu.tv_nsec, 20'000'000);
}

// INVARIANT(no-hang)
TEST_F(CallbackLoopTest, ADeadlineOfACallThatAnotherThreadBeginsIsKept) {
  std::atomic<bool> stop{false};
  std::atomic<int> status{-1};
  std::thread runner([&] {
    while (!stop.load()) loop_->RunOnce();
  });
  absl::SleepFor(absl::Milliseconds(100));  // it sleeps for good
  const absl::Time begun = absl::Now();
  StartCall(
      *lane_.client, "", [&](Reply& reply) { status = reply.status; },
      MonotonicNowNs() + 50'000'000);
  while (status == -1 && absl::Now() - begun < absl::Seconds(10)) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_EQ(status, kDeadlineExceeded);
  EXPECT_LT(absl::Now() - begun, absl::Seconds(1));
  stop = true;
  loop_->Wake();
  runner.join();
}

}  // namespace
}  // namespace capbroker::transport
