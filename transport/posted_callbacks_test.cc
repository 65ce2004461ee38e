// Callback calls by a mailbox, and the thread that waits at its bell.
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "transport/call_for_test.h"
#include "transport/mailbox.h"
#include "transport/packet.h"
#include "transport/posting_fixture.h"

namespace capbroker::transport {
namespace {

class PostedCallbacksTest : public PostingFixture {
 protected:
  // Its callbacks are at home here.
  ~PostedCallbacksTest() override { client_.reset(); }

  // A call whose answer comes to `answers_`.
  void StartCall(
      absl::string_view message, int64_t deadline_ns = 0,
      std::function<bool()> cancelled = [] { return false; }) {
    const TestRequest request(message, deadline_ns);
    client_->StartCall(request.Build(), std::move(cancelled), [this](Reply& reply) {
      absl::MutexLock lock(&mutex_);
      answers_.push_back(Answer(reply));
    });
  }
  // The answers so far, `count` of them or more.
  std::vector<Answer> Await(size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto here = [this, count]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return answers_.size() >= count;
    };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&here), absl::Seconds(20)));
    return answers_;
  }

  absl::Mutex mutex_;
  std::vector<Answer> answers_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(PostedCallbacksTest, CallbackCallsArePosted) {
  GiveMailbox();
  StartCall("first");
  StartCall("second");
  const Posted first = Take();
  const Posted second = Take();
  EXPECT_EQ(first.message, "first");
  EXPECT_EQ(second.message, "second");
  Put(Header(PacketType::kResponse, second.header.call), "of the second", second.slot);
  EXPECT_EQ(Await(1).back().message, "of the second");
  Put(Header(PacketType::kResponse, first.header.call), "of the first", first.slot);
  EXPECT_EQ(Await(2).back().message, "of the first");
  EXPECT_EQ(client_->posted_calls(), 2u);
  // Their slots are free again.
  for (int call = 0; call < 3 * Mailbox::kSlots; ++call) {
    StartCall("again");
    const Posted posted = Take();
    Put(Header(PacketType::kResponse, posted.header.call), "again", posted.slot);
    Await(static_cast<size_t>(call) + 3);
  }
  EXPECT_EQ(client_->posted_calls(), 2u + 3 * Mailbox::kSlots);
}

// Whenever the answer comes, before the client waits for it or later: no call waits for a tick.
TEST_F(PostedCallbacksTest, NoAnswerToACallbackCallIsSleptThrough) {
  constexpr size_t kCalls = 2000;
  GiveMailbox();
  std::thread service([this] {
    for (size_t call = 0; call < kCalls; ++call) {
      const Posted posted = Take();
      Put(Header(PacketType::kResponse, posted.header.call), {}, posted.slot);
    }
  });
  const int64_t begun_ns = MonotonicNowNs();
  for (size_t call = 0; call < kCalls; ++call) {
    StartCall("question");
    Await(call + 1);
  }
  EXPECT_LT(MonotonicNowNs() - begun_ns, int64_t{kCalls} * kCancelTickMs * 1'000'000 / 4);
  service.join();
  EXPECT_EQ(client_->posted_calls(), kCalls);
}

TEST_F(PostedCallbacksTest, AnAnswerToACallbackCallMayComeByTheSocket) {
  GiveMailbox();
  StartCall("question");
  const Posted posted = Take();
  Send(Header(PacketType::kResponse, posted.header.call), "from the socket");
  mailbox_->AnswerOnLane(posted.slot);
  EXPECT_EQ(Await(1).back().message, "from the socket");
}

TEST_F(PostedCallbacksTest, APostedCallbackCallEndsAtItsDeadlineAndWhenItIsCancelled) {
  GiveMailbox();
  StartCall("late", MonotonicNowNs() + 30'000'000);
  EXPECT_EQ(Await(1).back().status, kDeadlineExceeded);
  EXPECT_EQ(Receive().type, PacketType::kCancel);
  EXPECT_FALSE(mailbox_->LookForRequest()) << "nobody waits for its answer";
  std::atomic<bool> cancelled{false};
  StartCall("cancelled", 0, [&] { return cancelled.load(); });
  const Posted posted = Take();
  cancelled = true;
  EXPECT_EQ(Await(2).back().status, kCancelled);
  EXPECT_EQ(Receive().call, posted.header.call);
}

TEST_F(PostedCallbacksTest, ACallbackCallEndsAtItsDeadlineHoweverManyOthersAreAnswered) {
  GiveMailbox();
  std::atomic<bool> stop{false};
  StartCall("never answered", MonotonicNowNs() + 50'000'000);
  (void)Take();
  std::thread service([&] {
    while (!stop) {
      if (!mailbox_->WaitForRequest()) continue;
      const Posted posted = Take();
      Put(Header(PacketType::kResponse, posted.header.call), {}, posted.slot);
    }
  });
  const int64_t begun_ns = MonotonicNowNs();
  bool ended = false;
  for (size_t calls = 1; !ended && MonotonicNowNs() - begun_ns < 2'000'000'000; ++calls) {
    StartCall("answered");
    for (const Answer& answer : Await(calls)) ended |= answer.status == kDeadlineExceeded;
  }
  EXPECT_TRUE(ended);
  EXPECT_EQ(Receive().type, PacketType::kCancel);
  stop = true;
  service.join();
}

TEST_F(PostedCallbacksTest, ACallbackCallOfAProcessThatHasEndedIsUnavailable) {
  GiveMailbox();
  StartCall("question");
  PacketHeader epoch = Header(PacketType::kEpoch, 0);
  epoch.deadline_ns = 1;  // long ago: the call is later
  Send(epoch);
  EXPECT_EQ(Await(1).back().status, kUnavailable);
  EXPECT_FALSE(mailbox_->LookForRequest()) << "it is not run any more";
}

TEST_F(PostedCallbacksTest, WithoutRoomForAThreadCallbackCallsGoToTheSocket) {
  GiveMailbox();
  // A call that has no room makes the thread that waits at the socket.
  std::thread first([this] { ServeOnSocket(0, "of the socket"); });
  StartCall(std::string(Mailbox::kCapacity, 'x'));
  first.join();
  EXPECT_EQ(Await(1).back().message, "of the socket");
  std::thread second([this] { ServeOnSocket(kFlagWouldPost, "of the socket"); });
  pthread_attr_t before, huge;
  ASSERT_EQ(pthread_getattr_default_np(&before), 0);
  ASSERT_EQ(pthread_attr_init(&huge), 0);
  // A stack for which there is no address space: no thread can be made.
  ASSERT_EQ(pthread_attr_setstacksize(&huge, size_t{1} << 46), 0);
  ASSERT_EQ(pthread_setattr_default_np(&huge), 0);
  StartCall("question");
  ASSERT_EQ(pthread_setattr_default_np(&before), 0);
  second.join();
  EXPECT_EQ(Await(2).back().message, "of the socket");
  EXPECT_EQ(client_->posted_calls(), 0u);
}

TEST_F(PostedCallbacksTest, TheEndOfAClientEndsItsPostedCallbackCalls) {
  GiveMailbox();
  for (int call = 0; call < Mailbox::kSlots; ++call) StartCall("question");
  client_.reset();
  const std::vector<Answer> answers = Await(Mailbox::kSlots);
  ASSERT_EQ(answers.size(), static_cast<size_t>(Mailbox::kSlots));
  for (const Answer& answer : answers) EXPECT_EQ(answer.status, kUnavailable);
}

TEST_F(PostedCallbacksTest, ACallbackMayDestroyItsClientBeforeItsCallComesBack) {
  std::thread service;
  for (int call = 0; call < 200; ++call) {
    SetUp();
    GiveMailbox();
    service = std::thread([this] {
      const Posted posted = Take();
      Put(Header(PacketType::kResponse, posted.header.call), {}, posted.slot);
    });
    absl::Notification destroyed;
    const TestRequest request("");
    client_->StartCall(
        request.Build(), [] { return false; },
        [&](Reply&) {
          client_.reset();
          destroyed.Notify();
        });
    destroyed.WaitForNotification();
    service.join();
  }
}

TEST_F(PostedCallbacksTest, AnAnswerToACallbackCallThatNoHonestServiceGivesEndsTheChannel) {
  GiveMailbox();
  StartCall("question");
  const Posted posted = Take();
  Put(Header(PacketType::kResponse, posted.header.call + 1), {}, posted.slot);
  EXPECT_EQ(Await(1).back().status, kUnavailable);
  EXPECT_EQ(Call("question").status, kUnavailable);
}

TEST_F(PostedCallbacksTest, WhoWaitsForNoCallbackCallTakesNoProcessorTime) {
  GiveMailbox();
  StartCall("question");
  const Posted posted = Take();
  Put(Header(PacketType::kResponse, posted.header.call), {}, posted.slot);
  Await(1);
  usleep(100'000);
  const clock_t before = clock();
  usleep(300'000);
  EXPECT_LT(clock() - before, CLOCKS_PER_SEC / 500);
}

}  // namespace
}  // namespace capbroker::transport
