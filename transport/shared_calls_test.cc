// Lanes of a loop that share a mailbox: how they come to it, and what goes by it.
#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "base/status_matchers.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "transport/call_for_test.h"
#include "transport/callback_loop_fixture.h"
#include "transport/lane_client.h"
#include "transport/packet.h"
#include "transport/shared_mailbox.h"

namespace capbroker::transport {
namespace {

using SharedCallsTest = CallbackLoopFixture;

TEST_F(SharedCallsTest, AskedOftenItSharesTheMailboxOfTheLoop) {
  CallBySocket(lane_);
  EXPECT_EQ(AnswerLast(lane_, [&] { Join(lane_, 0, memory_); }), "");
  // The next one names what there is.
  Lane second = MakeLaneInLoop();
  CallBySocket(second);
  EXPECT_EQ(AnswerLast(second, [&] { Join(second, 7, FdRef()); }), kKey);
  StartCall(second);
  EXPECT_EQ(Receive(second).header.type, PacketType::kRequest);  // and the service is awake
  StartCall(second, "put");
  EXPECT_EQ(Receive(second).header.type, PacketType());
  const Put put = TakePut();
  EXPECT_EQ(put.lane, 7u);
  EXPECT_EQ(put.message, "put");
  EXPECT_EQ(second.client->posted_calls(), 1u);
}

TEST_F(SharedCallsTest, OneLaneAsksAtATimeAsLongAsMailboxesAreNew) {
  Lane second = MakeLaneInLoop();
  CallBySocket(lane_);  // has asked
  CallBySocket(second);
  EXPECT_EQ(AnswerLast(second), std::nullopt);
  EXPECT_EQ(AnswerLast(lane_, [&] { Join(lane_, 0, memory_); }), "");
  StartCall(second);
  EXPECT_EQ(AnswerLast(second, [&] { Join(second, 1, FdRef()); }), kKey);
}

TEST_F(SharedCallsTest, ALaneThatWasAbandonedWhileItAskedKeepsNobodyFromAsking) {
  Lane second = MakeLaneInLoop();
  CallBySocket(lane_);
  CallBySocket(second);
  EXPECT_EQ(AnswerLast(second), std::nullopt);
  lane_.client = nullptr;
  answers_.clear();
  StartCall(second);
  EXPECT_EQ(AnswerLast(second), "");
}

TEST_F(SharedCallsTest, ALaneThatHasEndedWhileItAskedKeepsNobodyFromAsking) {
  Lane second = MakeLaneInLoop();
  CallBySocket(lane_);
  CallBySocket(second);
  EXPECT_EQ(AnswerLast(second), std::nullopt);
  const size_t answered = answers_.size();
  lane_.service.Reset();
  Await(answered + 1);
  StartCall(second);
  EXPECT_EQ(AnswerLast(second), "");
}

TEST_F(SharedCallsTest, WhoGetsNoAnswerKeepsNobodyFromAskingForGood) {
  Lane second = MakeLaneInLoop();
  CallBySocket(lane_);
  EXPECT_TRUE(AnswerLast(lane_).has_value());
  CallBySocket(second);
  EXPECT_EQ(AnswerLast(second), std::nullopt);
  for (int i = 0; i < 20 * kJoinAfter; ++i) {
    StartCall(lane_);
    ASSERT_EQ(AnswerLast(lane_), std::nullopt);
  }
  StartCall(second);
  EXPECT_EQ(AnswerLast(second, [&] { Join(second, 0, memory_); }), "");
  // An answer that comes late is to nobody.
  Join(lane_, 1, FdRef());
  StartCall(lane_);
  EXPECT_EQ(AnswerLast(lane_), std::nullopt);
}

TEST_F(SharedCallsTest, WhoIsRefusedDoesNotAskAgain) {
  CallBySocket(lane_);
  EXPECT_EQ(AnswerLast(lane_, [&] { Send(lane_, Header(PacketType::kShared, 0)); }), "");
  for (int i = 0; i < 3 * kJoinAfter; ++i) {
    StartCall(lane_);
    EXPECT_EQ(AnswerLast(lane_), std::nullopt);
  }
}

TEST_F(SharedCallsTest, AnswersComeByTheMailboxWhileTheLoopIsAwake) {
  Share(lane_);
  for (int i = 0; i < 3; ++i) StartCall(lane_, "put");
  std::vector<Put> puts;
  for (int i = 0; i < 3; ++i) puts.push_back(TakePut());
  // It rests: the first one wakes it.
  while (loop_->Pump()) {
  }
  EXPECT_FALSE(AnswerPut(lane_, puts[0], "zeroth"));
  EXPECT_TRUE(AnswerPut(lane_, puts[2], "second"));
  EXPECT_TRUE(AnswerPut(lane_, puts[1], "first"));
  const std::vector<Answer> answers = Await(3);
  for (const Answer& answer : answers) EXPECT_EQ(answer.status, kOk);
  EXPECT_EQ(answers[0].message + answers[1].message, "firstsecond");
  EXPECT_EQ(answers[2].message, "zeroth");
}

TEST_F(SharedCallsTest, ARestingServiceIsCalledByTheSocket) {
  Share(lane_);
  EXPECT_TRUE(mailbox_->RestService());
  StartCall(lane_, "first");
  EXPECT_EQ(Receive(lane_).message, "first");
  // It was woken by that.
  StartCall(lane_, "second");
  EXPECT_EQ(TakePut().message, "second");
}

TEST_F(SharedCallsTest, WhatHasNoRoomGoesByTheSocket) {
  Share(lane_);
  StartCall(lane_, std::string(SharedMailbox::kCapacity, 'x'));
  EXPECT_EQ(Receive(lane_).message.size(), SharedMailbox::kCapacity);
  // As do calls beyond the slots.
  for (int i = 0; i < SharedMailbox::kSlots; ++i) StartCall(lane_);
  EXPECT_EQ(Receive(lane_).header.type, PacketType());
  StartCall(lane_, "one more");
  EXPECT_EQ(Receive(lane_).message, "one more");
}

TEST_F(SharedCallsTest, ALateCallIsWithdrawn) {
  Share(lane_);
  StartCall(lane_, "late", MonotonicNowNs() + 30'000'000);
  EXPECT_EQ(Await(1)[0].status, kDeadlineExceeded);
  EXPECT_EQ(mailbox_->TakeRequest(), std::nullopt);
  EXPECT_EQ(Receive(lane_).header.type, PacketType::kCancel);
}

TEST_F(SharedCallsTest, TheAnswerToACancelledCallIsNobodysAndItsSlotIsUsedAgain) {
  Share(lane_);
  for (int i = 0; i < 2 * SharedMailbox::kSlots; ++i) {
    std::atomic<bool> cancelled{false};
    StartCall(lane_, "cancelled", 0, [&] { return cancelled.load(); });
    ASSERT_EQ(Receive(lane_).header.type, PacketType()) << i;
    const Put put = TakePut();
    ASSERT_EQ(put.message, "cancelled") << i;
    cancelled = true;
    if (i < 3) {
      EXPECT_EQ(Await(1)[0].status, kCancelled);
      EXPECT_EQ(Receive(lane_).header.type, PacketType::kCancel);
      // The slot has a call of which the service does not know that it is over.
      StartCall(lane_, "next");
      const Put next = TakePut();
      EXPECT_NE(next.slot, put.slot);
      AnswerPut(lane_, put, "of the cancelled");
      AnswerPut(lane_, next, "of the next");
      EXPECT_EQ(Await(2)[1].message, "of the next");
    } else {
      AnswerPut(lane_, put);
      Await(1);
    }
    answers_.clear();
  }
}

TEST_F(SharedCallsTest, ASuccessorEndsWhatIsInTheMailboxOfThatProcess) {
  Share(lane_);
  StartCall(lane_);
  Send(lane_, Header(PacketType::kEpoch, 0));
  EXPECT_EQ(Await(1)[0].status, kUnavailable);
  EXPECT_EQ(mailbox_->TakeRequest(), std::nullopt);
  // And is asked anew.
  CallBySocket(lane_);
  EXPECT_TRUE(AnswerLast(lane_).has_value());
}

// TRUST(service)
TEST_F(SharedCallsTest, WhatIsNoAnswerEndsItsLaneAlone) {
  Share(lane_);
  Lane second = MakeLaneInLoop();
  Share(second, 1);
  StartCall(lane_);
  StartCall(second, "second");
  const Put first = TakePut();
  const Put other = TakePut();
  EXPECT_EQ(other.message, "second");
  Put wrong = first;
  ++wrong.call;
  RouseClient();
  ASSERT_TRUE(AnswerPut(lane_, wrong));
  EXPECT_EQ(Await(1)[0].status, kUnavailable);
  StartCall(lane_);
  EXPECT_EQ(Await(2)[1].status, kUnavailable);
  AnswerPut(second, other);
  EXPECT_EQ(Await(3)[2].status, kOk);
}

TEST_F(SharedCallsTest, AnswersToNobodyDoNothing) {
  Share(lane_);
  RouseClient();
  for (int slot = 0; slot < SharedMailbox::kSlots; ++slot) {
    ASSERT_TRUE(mailbox_->PutAnswer(slot, {Header(PacketType::kResponse, 1), {}, {}, {}}));
  }
  for (int i = 0; i < 100; ++i) loop_->Pump();
  EXPECT_TRUE(answers_.empty());
  StartCall(lane_);
  AnswerPut(lane_, TakePut());
  EXPECT_EQ(Await(1)[0].status, kOk);
}

TEST_F(SharedCallsTest, TheEndOfTheServiceEndsWhatIsInItsMailbox) {
  Share(lane_);
  StartCall(lane_);
  lane_.service.Reset();
  EXPECT_EQ(Await(1)[0].status, kUnavailable);
}

TEST_F(SharedCallsTest, ASlotIsFreeAgainHoweverItsCallEnds) {
  Share(lane_);
  for (int i = 0; i < SharedMailbox::kSlots + 8; ++i) {
    StartCall(lane_, "put");
    ASSERT_EQ(Receive(lane_).header.type, PacketType()) << i;
    const Put put = TakePut();
    mailbox_->Leave(put.slot);
    Send(lane_, Header(PacketType::kResponse, put.call));
    Await(1);
    answers_.clear();
  }
}

TEST_F(SharedCallsTest, WhoHandsALaneOnHasItsCallsNoLonger) {
  Share(lane_);
  ASSERT_OK(lane_.client->Release());
  EXPECT_EQ(Receive(lane_).header.type, PacketType::kLeave);
}

}  // namespace
}  // namespace capbroker::transport
