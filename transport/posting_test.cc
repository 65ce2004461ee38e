// A lane's client with a mailbox, whose service is the test's own.
#include "transport/posting.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "transport/lane_client.h"
#include "transport/lane_socket.h"
#include "transport/mailbox.h"
#include "transport/packet.h"

namespace capbroker::transport {
namespace {

constexpr int kOk = 0;
constexpr int kCancelled = 1;
constexpr int kDeadlineExceeded = 4;
constexpr int kUnavailable = 14;

struct Answer {
  int32_t status = -1;
  std::string message;
};

PacketHeader Header(PacketType type, uint64_t call) {
  PacketHeader header = {};
  header.type = type;
  header.call = call;
  return header;
}

class PostingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(LanePair lane, MakeLane(ClientDescriptors::kRefused));
    service_ = std::move(lane.service);
    ASSERT_OK(SetCancelTick(service_));
    client_ = std::make_unique<LaneClient>(std::move(lane.client), kMaxMessageSize,
                                           /*post_within_ns=*/int64_t{3600} * 1'000'000'000);
    ASSERT_OK_AND_ASSIGN(mailbox_, Mailbox::Make());
  }

  Answer Call(
      absl::string_view message, int64_t deadline_ns = 0, bool brings_descriptors = false,
      const std::function<bool()>& cancelled = [] { return false; }) {
    const auto serialize = [message](char* bytes) {
      if (!message.empty()) std::memcpy(bytes, message.data(), message.size());
      return true;
    };
    const LaneRequest request = {.method = 1,
                                 .deadline_ns = deadline_ns,
                                 .metadata = {},
                                 .message_size = message.size(),
                                 .serialize = serialize,
                                 .descriptors = {},
                                 .brings_descriptors = brings_descriptors};
    Answer answer;
    client_->Call(
        request, [&] { return cancelled(); },
        [&](Reply& reply) {
          answer.status = reply.status;
          reply.message.AppendTo(answer.message);
        });
    return answer;
  }

  // A call whose answer comes to `answers_`.
  void StartCall(
      absl::string_view message, int64_t deadline_ns = 0,
      std::function<bool()> cancelled = [] { return false; }) {
    const auto serialize = [message](char* bytes) {
      if (!message.empty()) std::memcpy(bytes, message.data(), message.size());
      return true;
    };
    const LaneRequest request = {.method = 1,
                                 .deadline_ns = deadline_ns,
                                 .metadata = {},
                                 .message_size = message.size(),
                                 .serialize = serialize,
                                 .descriptors = {}};
    client_->StartCall(request, std::move(cancelled), [this](Reply& reply) {
      Answer answer;
      answer.status = reply.status;
      reply.message.AppendTo(answer.message);
      absl::MutexLock lock(&mutex_);
      answers_.push_back(std::move(answer));
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

  // Runs `serve` while the client makes a call.
  Answer CallWhile(const std::function<void()>& serve, const std::function<Answer()>& call) {
    std::thread service(serve);
    Answer answer = call();
    service.join();
    return answer;
  }

  // The next packet of the socket; type 0: there is none for a while.
  PacketHeader Receive(int ticks = 500) {
    absl::StatusOr<std::optional<ReceivedPacket>> packet = std::nullopt;
    for (int i = 0; i < ticks && packet.ok() && !packet->has_value(); ++i) {
      packet = ReceivePacket(service_, buffer_, PacketDirection::kToService, Blocking::kWait);
    }
    if (!packet.ok() || !packet->has_value()) return {};
    return (*packet)->view.header;
  }
  void Send(PacketHeader header, absl::string_view message = {}, FdRef descriptor = FdRef()) {
    OutgoingPacket packet = {header, {}, message, {}};
    const FdRef sent[] = {descriptor};
    if (descriptor.valid()) packet.descriptors = sent;
    EXPECT_OK(SendPacket(service_, packet).status);
  }
  void SendMailbox(FdRef memory) { Send(Header(PacketType::kMailbox, 0), {}, memory); }

  // Answers a request of the socket, which has `flags`.
  void ServeOnSocket(int flags, absl::string_view message = {}) {
    const PacketHeader request = Receive();
    EXPECT_EQ(request.flags, flags);
    Send(Header(PacketType::kResponse, request.call), message);
  }

  // A call of the socket, with whose answer the client has the mailbox, open.
  void GiveMailbox() {
    const Answer answer = CallWhile(
        [this] {
          const PacketHeader request = Receive();
          EXPECT_EQ(request.flags, kFlagWouldPost | kFlagNoMailbox);
          ASSERT_OK_AND_ASSIGN(const UniqueFd shared, mailbox_->Share());
          mailbox_->Open();
          SendMailbox(shared);
          Send(Header(PacketType::kResponse, request.call));
        },
        [this] { return Call("first"); });
    ASSERT_EQ(answer.status, kOk);
    ASSERT_EQ(client_->posted_calls(), 0u);
  }

  // The posted request, taken.
  struct Posted {
    PacketHeader header = {};
    std::string message;
    int slot = 0;
  };
  Posted Take() {
    for (int i = 0; i < 500 && !mailbox_->WaitForRequest(); ++i) {
    }
    EXPECT_TRUE(mailbox_->LookForRequest());
    const std::optional<int> slot = mailbox_->Claim();
    EXPECT_TRUE(slot.has_value());
    std::string bytes(Mailbox::kCapacity, '\0');
    bytes.resize(mailbox_->ReadRequest(slot.value_or(0), bytes.data()));
    const absl::StatusOr<PacketView> view = ParsePacket(bytes, 0, PacketDirection::kToService);
    EXPECT_OK(view);
    if (!view.ok()) return {};
    return {view->header, std::string(view->message), slot.value_or(0)};
  }
  void Put(PacketHeader header, absl::string_view message = {}, int slot = 0) {
    mailbox_->PutAnswer(slot, {header, {}, message, {}});
  }

  UniqueFd service_;
  ReceiveBuffer buffer_;
  std::unique_ptr<Mailbox> mailbox_;
  absl::Mutex mutex_;
  std::vector<Answer> answers_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<LaneClient> client_;
};

TEST_F(PostingTest, PostsAndReadsTheAnswer) {
  GiveMailbox();
  const Answer answer = CallWhile(
      [this] {
        const Posted posted = Take();
        EXPECT_EQ(posted.message, "question");
        EXPECT_EQ(posted.header.flags, kFlagWouldPost);
        Put(Header(PacketType::kResponse, posted.header.call), "answer");
      },
      [this] { return Call("question"); });
  EXPECT_EQ(answer.status, kOk);
  EXPECT_EQ(answer.message, "answer");
  EXPECT_EQ(client_->posted_calls(), 1u);
}

TEST_F(PostingTest, AnAnswerWithoutRoomComesByTheSocketAndSoDoTheNextOnesOfItsMethod) {
  GiveMailbox();
  const Answer answer = CallWhile(
      [this] {
        const Posted posted = Take();
        Send(Header(PacketType::kResponse, posted.header.call), "from the socket");
        mailbox_->AnswerOnLane(posted.slot);
      },
      [this] { return Call("question"); });
  EXPECT_EQ(answer.message, "from the socket");
  for (int call = 0; call < kUnpostedAfter; ++call) {
    const Answer next =
        CallWhile([this] { ServeOnSocket(0, "again"); }, [this] { return Call("question"); });
    ASSERT_EQ(next.message, "again");
  }
  EXPECT_EQ(client_->posted_calls(), 1u);
  // Its answers may have become smaller.
  const Answer tried =
      CallWhile([this] { Put(Header(PacketType::kResponse, Take().header.call), "posted"); },
                [this] { return Call("question"); });
  EXPECT_EQ(tried.message, "posted");
}

TEST_F(PostingTest, WhatAMailboxDoesNotCarryGoesToTheSocket) {
  GiveMailbox();
  const auto serve = [this] { ServeOnSocket(0); };
  const std::string large(Mailbox::kCapacity, 'x');
  EXPECT_EQ(CallWhile(serve, [&] { return Call(large); }).status, kOk);
  EXPECT_EQ(CallWhile(serve, [&] { return Call("", 0, /*brings_descriptors=*/true); }).status, kOk);
  EXPECT_EQ(client_->posted_calls(), 0u);
}

TEST_F(PostingTest, CallsOfSeveralThreadsAreAnsweredInAnyOrder) {
  GiveMailbox();
  std::thread second;
  const Answer first = CallWhile(
      [&] {
        const Posted posted = Take();
        second = std::thread([this] { EXPECT_EQ(Call("second").message, "of the second"); });
        const Posted meanwhile = Take();
        EXPECT_EQ(meanwhile.message, "second");
        EXPECT_NE(meanwhile.slot, posted.slot);
        Put(Header(PacketType::kResponse, meanwhile.header.call), "of the second", meanwhile.slot);
        second.join();
        Put(Header(PacketType::kResponse, posted.header.call), "of the first", posted.slot);
      },
      [this] { return Call("first"); });
  EXPECT_EQ(first.message, "of the first");
  EXPECT_EQ(client_->posted_calls(), 2u);
}

TEST_F(PostingTest, ACallWithoutASlotGoesToTheSocket) {
  GiveMailbox();
  std::vector<std::thread> others;
  std::vector<Posted> posted;
  for (int call = 0; call < Mailbox::kSlots; ++call) {
    others.emplace_back([this] { EXPECT_EQ(Call("posted").message, "of the mailbox"); });
    posted.push_back(Take());
  }
  const Answer answer = CallWhile([this] { ServeOnSocket(kFlagWouldPost, "of the socket"); },
                                  [this] { return Call("question"); });
  EXPECT_EQ(answer.message, "of the socket");
  for (const Posted& call : posted) {
    Put(Header(PacketType::kResponse, call.header.call), "of the mailbox", call.slot);
  }
  for (std::thread& other : others) other.join();
  EXPECT_EQ(client_->posted_calls(), static_cast<uint64_t>(Mailbox::kSlots));
}

TEST_F(PostingTest, CallbackCallsArePosted) {
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
TEST_F(PostingTest, NoAnswerToACallbackCallIsSleptThrough) {
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

TEST_F(PostingTest, AnAnswerToACallbackCallMayComeByTheSocket) {
  GiveMailbox();
  StartCall("question");
  const Posted posted = Take();
  Send(Header(PacketType::kResponse, posted.header.call), "from the socket");
  mailbox_->AnswerOnLane(posted.slot);
  EXPECT_EQ(Await(1).back().message, "from the socket");
}

TEST_F(PostingTest, APostedCallbackCallEndsAtItsDeadlineAndWhenItIsCancelled) {
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

TEST_F(PostingTest, ACallbackCallEndsAtItsDeadlineHoweverManyOthersAreAnswered) {
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

TEST_F(PostingTest, ACallbackCallOfAProcessThatHasEndedIsUnavailable) {
  GiveMailbox();
  StartCall("question");
  PacketHeader epoch = Header(PacketType::kEpoch, 0);
  epoch.deadline_ns = 1;  // long ago: the call is later
  Send(epoch);
  EXPECT_EQ(Await(1).back().status, kUnavailable);
  EXPECT_FALSE(mailbox_->LookForRequest()) << "it is not run any more";
}

TEST_F(PostingTest, WithoutRoomForAThreadCallbackCallsGoToTheSocket) {
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

TEST_F(PostingTest, TheEndOfAClientEndsItsPostedCallbackCalls) {
  GiveMailbox();
  for (int call = 0; call < Mailbox::kSlots; ++call) StartCall("question");
  client_.reset();
  const std::vector<Answer> answers = Await(Mailbox::kSlots);
  ASSERT_EQ(answers.size(), static_cast<size_t>(Mailbox::kSlots));
  for (const Answer& answer : answers) EXPECT_EQ(answer.status, kUnavailable);
}

TEST_F(PostingTest, ACallbackMayDestroyItsClientBeforeItsCallComesBack) {
  std::thread service;
  for (int call = 0; call < 200; ++call) {
    SetUp();
    GiveMailbox();
    service = std::thread([this] {
      const Posted posted = Take();
      Put(Header(PacketType::kResponse, posted.header.call), {}, posted.slot);
    });
    absl::Notification destroyed;
    const auto serialize = [](char*) { return true; };
    const LaneRequest request = {
        .method = 1, .metadata = {}, .message_size = 0, .serialize = serialize, .descriptors = {}};
    client_->StartCall(
        request, [] { return false; },
        [&](Reply&) {
          client_.reset();
          destroyed.Notify();
        });
    destroyed.WaitForNotification();
    service.join();
  }
}

TEST_F(PostingTest, AnAnswerToACallbackCallThatNoHonestServiceGivesEndsTheChannel) {
  GiveMailbox();
  StartCall("question");
  const Posted posted = Take();
  Put(Header(PacketType::kResponse, posted.header.call + 1), {}, posted.slot);
  EXPECT_EQ(Await(1).back().status, kUnavailable);
  EXPECT_EQ(Call("question").status, kUnavailable);
}

TEST_F(PostingTest, WhoWaitsForNoCallbackCallTakesNoProcessorTime) {
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

TEST_F(PostingTest, AClosedMailboxSendsCallsToTheSocket) {
  GiveMailbox();
  mailbox_->Close();
  const Answer answer =
      CallWhile([this] { ServeOnSocket(kFlagWouldPost); }, [this] { return Call("question"); });
  EXPECT_EQ(answer.status, kOk);
  EXPECT_EQ(client_->posted_calls(), 0u);
}

TEST_F(PostingTest, APostedCallEndsAtItsDeadlineAndTellsTheService) {
  GiveMailbox();
  const int64_t begun_ns = MonotonicNowNs();
  EXPECT_EQ(Call("question", begun_ns + 30'000'000).status, kDeadlineExceeded);
  EXPECT_GE(MonotonicNowNs() - begun_ns, 30'000'000);
  EXPECT_EQ(Receive().type, PacketType::kCancel);
  EXPECT_FALSE(mailbox_->LookForRequest()) << "nobody waits for its answer";
}

TEST_F(PostingTest, APostedCallEndsWhenItIsCancelled) {
  GiveMailbox();
  std::atomic<bool> cancelled{false};
  const Answer answer = CallWhile(
      [&] {
        const Posted posted = Take();
        cancelled = true;
        const PacketHeader cancel = Receive();
        EXPECT_EQ(cancel.type, PacketType::kCancel);
        EXPECT_EQ(cancel.call, posted.header.call);
      },
      [&] { return Call("question", 0, false, [&] { return cancelled.load(); }); });
  EXPECT_EQ(answer.status, kCancelled);
  // Until the service has answered that one its slot is not used; its answer is nobody's.
  const Answer next = CallWhile(
      [this] {
        const Posted posted = Take();
        EXPECT_NE(posted.slot, 0);
        Put(Header(PacketType::kResponse, posted.header.call - 1), "late", 0);
        Put(Header(PacketType::kResponse, posted.header.call), "own", posted.slot);
      },
      [this] { return Call("question"); });
  EXPECT_EQ(next.message, "own");
  const Answer reused = CallWhile(
      [this] {
        const Posted posted = Take();
        EXPECT_EQ(posted.slot, 0);
        Put(Header(PacketType::kResponse, posted.header.call), "again");
      },
      [this] { return Call("question"); });
  EXPECT_EQ(reused.message, "again");
}

TEST_F(PostingTest, ASuccessorIsSentWhatNobodyTook) {
  GiveMailbox();
  const Answer answer = CallWhile(
      [this] {
        while (!mailbox_->LookForRequest()) usleep(100);
        PacketHeader epoch = Header(PacketType::kEpoch, 0);
        epoch.deadline_ns = 1;  // long ago: the call is later
        Send(epoch);
        const PacketHeader request = Receive();
        EXPECT_EQ(request.type, PacketType::kRequest);
        Send(Header(PacketType::kResponse, request.call), "of the successor");
      },
      [this] { return Call("question"); });
  EXPECT_EQ(answer.message, "of the successor");
  EXPECT_FALSE(mailbox_->LookForRequest());
}

TEST_F(PostingTest, WhatTheProcessThatDiedHadTakenIsLost) {
  GiveMailbox();
  const Answer answer = CallWhile(
      [this] {
        (void)Take();
        PacketHeader epoch = Header(PacketType::kEpoch, 0);
        epoch.deadline_ns = 1;
        Send(epoch);
      },
      [this] { return Call("question"); });
  EXPECT_EQ(answer.status, kUnavailable);
  // The next one goes to the successor.
  const Answer next = CallWhile([this] { ServeOnSocket(kFlagWouldPost | kFlagNoMailbox); },
                                [this] { return Call("question"); });
  EXPECT_EQ(next.status, kOk);
}

TEST_F(PostingTest, TheEndOfTheSocketEndsAPostedCall) {
  GiveMailbox();
  const Answer answer = CallWhile(
      [this] {
        (void)Take();
        service_.Reset();
      },
      [this] { return Call("question"); });
  EXPECT_EQ(answer.status, kUnavailable);
}

TEST_F(PostingTest, AnswersThatNoHonestServiceGivesEndTheChannel) {
  for (int kind = 0; kind < 4; ++kind) {
    SetUp();
    GiveMailbox();
    const Answer answer = CallWhile(
        [&] {
          const Posted posted = Take();
          PacketHeader header = Header(PacketType::kResponse, posted.header.call);
          if (kind == 0) header.call += 1;
          if (kind == 1) header.type = PacketType::kEpoch;
          if (kind == 2) header.flags = kFlagKept | kFlagInKept;
          if (kind == 3) header.type = PacketType::kRequest;
          Put(header);
        },
        [this] { return Call("question"); });
    EXPECT_EQ(answer.status, kUnavailable) << kind;
    EXPECT_EQ(Call("question").status, kUnavailable) << kind;
  }
}

TEST_F(PostingTest, MemoryThatCouldShrinkIsNoMailbox) {
  const UniqueFd unsealed(memfd_create("unsealed", MFD_ALLOW_SEALING));
  ASSERT_EQ(ftruncate(unsealed.get(), 4096), 0);
  SendMailbox(unsealed);
  for (int i = 0; i < 2; ++i) {
    const Answer answer = CallWhile([this] { ServeOnSocket(kFlagWouldPost | kFlagNoMailbox); },
                                    [this] { return Call("question"); });
    EXPECT_EQ(answer.status, kOk);
  }
}

TEST_F(PostingTest, AProcessWithoutRoomForTheDescriptorKeepsItsChannel) {
  ASSERT_OK_AND_ASSIGN(const UniqueFd shared, mailbox_->Share());
  const UniqueFd lowest_free(fcntl(shared.get(), F_DUPFD_CLOEXEC, 0));
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit full = {static_cast<rlim_t>(lowest_free.get()), before.rlim_max};
  // Not under the limit, which bounds what is on its way, too.
  SendMailbox(shared);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &full), 0);
  const Answer answer =
      CallWhile([&] { Send(Header(PacketType::kResponse, Receive().call), "answer"); },
                [&] { return Call("question"); });
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(answer.status, kOk);
  EXPECT_EQ(answer.message, "answer");
}

TEST_F(PostingTest, AWhileAfterAnAnswerTheSocketIsUsed) {
  ASSERT_OK_AND_ASSIGN(LanePair lane, MakeLane(ClientDescriptors::kRefused));
  service_ = std::move(lane.service);
  ASSERT_OK(SetCancelTick(service_));
  client_ = std::make_unique<LaneClient>(std::move(lane.client));
  GiveMailbox();
  usleep(2 * kPostWithinNs / 1000);
  const Answer answer =
      CallWhile([this] { ServeOnSocket(kFlagWouldPost); }, [this] { return Call("question"); });
  EXPECT_EQ(answer.status, kOk);
  EXPECT_EQ(client_->posted_calls(), 0u);
}

}  // namespace
}  // namespace capbroker::transport
