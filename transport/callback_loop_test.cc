// Lanes in a loop, whose service is the test's own.
#include "transport/callback_loop.h"

#include <poll.h>
#include <sys/resource.h>
#include <time.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "transport/lane_client.h"
#include "transport/lane_socket.h"
#include "transport/packet.h"
#include "transport/shared_mailbox.h"

namespace capbroker::transport {
namespace {

constexpr int kOk = 0;
constexpr int kCancelled = 1;
constexpr int kDeadlineExceeded = 4;
constexpr int kUnavailable = 14;
constexpr char kKey[] = "sixteen bytes...";
static_assert(sizeof kKey == kJoinKeySize + 1);

struct Answer {
  int32_t status = -1;
  std::string message;
  std::thread::id thread;
};

struct Lane {
  UniqueFd service;
  std::unique_ptr<LaneClient> client;
};

PacketHeader Header(PacketType type, uint64_t call) {
  PacketHeader header = {};
  header.type = type;
  header.call = call;
  return header;
}

class CallbackLoopTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(loop_, CallbackLoop::Create());
    ASSERT_OK_AND_ASSIGN(mailbox_, SharedMailbox::Make(memory_));
    lane_ = MakeLaneInLoop();
  }

  Lane MakeLaneInLoop() {
    absl::StatusOr<LanePair> pair = MakeLane(ClientDescriptors::kRefused);
    EXPECT_OK(pair);
    EXPECT_OK(SetCancelTick(pair->service));
    Lane lane = {std::move(pair->service), std::make_unique<LaneClient>(std::move(pair->client))};
    EXPECT_OK(lane.client->CompleteIn(loop_));
    return lane;
  }

  void StartCall(
      LaneClient& client, absl::string_view message, std::function<void(Reply&)> done,
      int64_t deadline_ns = 0, std::function<bool()> cancelled = [] { return false; }) {
    const auto serialize = [message](char* bytes) {
      if (!message.empty()) std::memcpy(bytes, message.data(), message.size());
      return true;
    };
    client.StartCall({.method = 1,
                      .deadline_ns = deadline_ns,
                      .metadata = {},
                      .message_size = message.size(),
                      .serialize = serialize,
                      .descriptors = {}},
                     std::move(cancelled), std::move(done));
  }
  // A call whose answer comes to `answers_`.
  void StartCall(
      Lane& lane, absl::string_view message = "question", int64_t deadline_ns = 0,
      std::function<bool()> cancelled = [] { return false; }) {
    StartCall(
        *lane.client, message, [this](Reply& reply) { Note(reply); }, deadline_ns,
        std::move(cancelled));
  }
  void Note(Reply& reply) {
    Answer answer;
    answer.status = reply.status;
    reply.message.AppendTo(answer.message);
    answer.thread = std::this_thread::get_id();
    answers_.push_back(std::move(answer));
  }
  // Runs the loop until there are `count` answers.
  std::vector<Answer> Await(size_t count) {
    const absl::Time until = absl::Now() + absl::Seconds(20);
    while (answers_.size() < count && absl::Now() < until) loop_->RunOnce(absl::Seconds(1));
    EXPECT_EQ(answers_.size(), count);
    return answers_;
  }

  // The next packet of the socket; type 0: there is none.
  PacketView Receive(const Lane& lane) {
    auto packet =
        ReceivePacket(lane.service, buffer_, PacketDirection::kToService, Blocking::kDontWait);
    EXPECT_OK(packet);
    if (!packet.ok() || !packet->has_value()) return {};
    return (*packet)->view;
  }
  void Send(const Lane& lane, PacketHeader header, absl::string_view message = {},
            FdRef descriptor = FdRef()) {
    OutgoingPacket packet = {header, {}, message, {}};
    const FdRef sent[] = {descriptor};
    if (descriptor.valid()) packet.descriptors = sent;
    EXPECT_OK(SendPacket(lane.service, packet).status);
  }
  // Calls by the socket and answers, so often that the lane may ask for a mailbox.
  void CallBySocket(Lane& lane) {
    for (int i = 0; i < kJoinAfter; ++i) {
      const size_t answered = answers_.size();
      StartCall(lane);
      // It asks before it calls.
      if (i == kJoinAfter - 1) break;
      const PacketView request = Receive(lane);
      ASSERT_EQ(request.header.type, PacketType::kRequest);
      Send(lane, Header(PacketType::kResponse, request.header.call));
      Await(answered + 1);
    }
  }
  // The keys that the lane has sent, if it has asked; answers the call beside it.
  std::optional<std::string> AnswerLast(
      Lane& lane, const std::function<void()>& join = [] {}) {
    const size_t answered = answers_.size();
    std::optional<std::string> keys;
    PacketView packet = Receive(lane);
    if (packet.header.type == PacketType::kJoin) {
      keys = std::string(packet.message);
      packet = Receive(lane);
    }
    EXPECT_EQ(packet.header.type, PacketType::kRequest);
    if (keys) join();
    Send(lane, Header(PacketType::kResponse, packet.header.call));
    Await(answered + 1);
    return keys;
  }
  void Join(const Lane& lane, uint64_t number, FdRef memory) {
    PacketHeader header = Header(PacketType::kShared, 0);
    header.method = number;
    Send(lane, header, kKey, memory);
  }
  // The lane has the mailbox, and the service is awake.
  void Share(Lane& lane, uint64_t number = 0) {
    CallBySocket(lane);
    EXPECT_TRUE(AnswerLast(lane, [&] {
                  Join(lane, number, number == 0 ? FdRef(memory_) : FdRef());
                }).has_value());
    if (number != 0) return answers_.clear();
    // By the socket, because nobody looks at the mailbox yet.
    const size_t answered = answers_.size();
    StartCall(lane);
    const PacketView request = Receive(lane);
    ASSERT_EQ(request.header.type, PacketType::kRequest);
    Send(lane, Header(PacketType::kResponse, request.header.call));
    Await(answered + 1);
    answers_.clear();
  }
  // As if a packet had woken the loop.
  void RouseClient() { mailbox_->RouseClient(mailbox_->client_rests()); }

  struct Put {
    int slot = -1;
    uint32_t lane = 0;
    uint64_t call = 0;
    std::string message;
  };
  // A request that was put into the mailbox.
  Put TakePut() {
    Put put;
    const std::optional<int> slot = mailbox_->TakeRequest();
    EXPECT_TRUE(slot.has_value());
    if (!slot) return put;
    char bytes[SharedMailbox::kCapacity];
    const size_t size = mailbox_->ReadRequest(*slot, put.lane, bytes);
    const auto view = ParsePacket(absl::string_view(bytes, size), 0, PacketDirection::kToService);
    EXPECT_OK(view);
    if (!view.ok()) return put;
    put.slot = *slot;
    put.call = view->header.call;
    put.message = std::string(view->message);
    return put;
  }
  // As a service does: by the mailbox if the client looks there.
  bool AnswerPut(const Lane& lane, const Put& put, absl::string_view message = "answer") {
    const OutgoingPacket packet = {Header(PacketType::kResponse, put.call), {}, message, {}};
    const SharedMailbox::Resting resting = mailbox_->client_rests();
    if (!resting && mailbox_->PutAnswer(put.slot, packet)) return true;
    if (resting) mailbox_->Leave(put.slot);
    EXPECT_OK(SendPacket(lane.service, packet).status);
    mailbox_->RouseClient(resting);
    return false;
  }

  std::shared_ptr<CallbackLoop> loop_;
  UniqueFd memory_;
  std::unique_ptr<SharedMailbox> mailbox_;
  ReceiveBuffer buffer_;
  std::vector<Answer> answers_;
  Lane lane_;
};

TEST_F(CallbackLoopTest, CallbacksRunInTheLoop) {
  StartCall(lane_);
  const PacketView request = Receive(lane_);
  EXPECT_EQ(request.message, "question");
  Send(lane_, Header(PacketType::kResponse, request.header.call), "answer");
  absl::SleepFor(absl::Milliseconds(50));
  EXPECT_TRUE(answers_.empty());
  const std::vector<Answer> answers = Await(1);
  EXPECT_EQ(answers[0].message, "answer");
  EXPECT_EQ(answers[0].thread, std::this_thread::get_id());
}

TEST_F(CallbackLoopTest, ALaneIsInOneLoopFromItsFirstCall) {
  EXPECT_TRUE(absl::IsFailedPrecondition(lane_.client->CompleteIn(loop_)));
  ASSERT_OK_AND_ASSIGN(LanePair pair, MakeLane(ClientDescriptors::kRefused));
  LaneClient called(std::move(pair.client));
  StartCall(called, "", [](Reply&) {});
  EXPECT_TRUE(absl::IsFailedPrecondition(called.CompleteIn(loop_)));
}

TEST_F(CallbackLoopTest, AskedOftenItSharesTheMailboxOfTheLoop) {
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

TEST_F(CallbackLoopTest, OneLaneAsksAtATimeAsLongAsMailboxesAreNew) {
  Lane second = MakeLaneInLoop();
  CallBySocket(lane_);  // has asked
  CallBySocket(second);
  EXPECT_EQ(AnswerLast(second), std::nullopt);
  EXPECT_EQ(AnswerLast(lane_, [&] { Join(lane_, 0, memory_); }), "");
  StartCall(second);
  EXPECT_EQ(AnswerLast(second, [&] { Join(second, 1, FdRef()); }), kKey);
}

TEST_F(CallbackLoopTest, ALaneThatWasAbandonedWhileItAskedKeepsNobodyFromAsking) {
  Lane second = MakeLaneInLoop();
  CallBySocket(lane_);
  CallBySocket(second);
  EXPECT_EQ(AnswerLast(second), std::nullopt);
  lane_.client = nullptr;
  answers_.clear();
  StartCall(second);
  EXPECT_EQ(AnswerLast(second), "");
}

TEST_F(CallbackLoopTest, ALaneThatHasEndedWhileItAskedKeepsNobodyFromAsking) {
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

TEST_F(CallbackLoopTest, WhoGetsNoAnswerKeepsNobodyFromAskingForGood) {
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

TEST_F(CallbackLoopTest, WhoIsRefusedDoesNotAskAgain) {
  CallBySocket(lane_);
  EXPECT_EQ(AnswerLast(lane_, [&] { Send(lane_, Header(PacketType::kShared, 0)); }), "");
  for (int i = 0; i < 3 * kJoinAfter; ++i) {
    StartCall(lane_);
    EXPECT_EQ(AnswerLast(lane_), std::nullopt);
  }
}

TEST_F(CallbackLoopTest, AnswersComeByTheMailboxWhileTheLoopIsAwake) {
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

TEST_F(CallbackLoopTest, ARestingServiceIsCalledByTheSocket) {
  Share(lane_);
  EXPECT_TRUE(mailbox_->RestService());
  StartCall(lane_, "first");
  EXPECT_EQ(Receive(lane_).message, "first");
  // It was woken by that.
  StartCall(lane_, "second");
  EXPECT_EQ(TakePut().message, "second");
}

TEST_F(CallbackLoopTest, WhatHasNoRoomGoesByTheSocket) {
  Share(lane_);
  StartCall(lane_, std::string(SharedMailbox::kCapacity, 'x'));
  EXPECT_EQ(Receive(lane_).message.size(), SharedMailbox::kCapacity);
  // As do calls beyond the slots.
  for (int i = 0; i < SharedMailbox::kSlots; ++i) StartCall(lane_);
  EXPECT_EQ(Receive(lane_).header.type, PacketType());
  StartCall(lane_, "one more");
  EXPECT_EQ(Receive(lane_).message, "one more");
}

TEST_F(CallbackLoopTest, ALateCallIsWithdrawn) {
  Share(lane_);
  StartCall(lane_, "late", MonotonicNowNs() + 30'000'000);
  EXPECT_EQ(Await(1)[0].status, kDeadlineExceeded);
  EXPECT_EQ(mailbox_->TakeRequest(), std::nullopt);
  EXPECT_EQ(Receive(lane_).header.type, PacketType::kCancel);
}

TEST_F(CallbackLoopTest, TheAnswerToACancelledCallIsNobodysAndItsSlotIsUsedAgain) {
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

TEST_F(CallbackLoopTest, ASuccessorEndsWhatIsInTheMailboxOfThatProcess) {
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
TEST_F(CallbackLoopTest, WhatIsNoAnswerEndsItsLaneAlone) {
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

TEST_F(CallbackLoopTest, AnswersToNobodyDoNothing) {
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

TEST_F(CallbackLoopTest, TheEndOfTheServiceEndsWhatIsInItsMailbox) {
  Share(lane_);
  StartCall(lane_);
  lane_.service.Reset();
  EXPECT_EQ(Await(1)[0].status, kUnavailable);
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
  std::thread blocking([&] {
    Reply reply;
    const auto serialize = [](char*) { return true; };
    lane_.client->Call(
        {.method = 2,
         .deadline_ns = 0,
         .metadata = {},
         .message_size = 0,
         .serialize = serialize,
         .descriptors = {}},
        [] { return false; }, [](Reply& r) { EXPECT_EQ(r.status, kOk); });
  });
  PacketHeader waited = {};
  while (waited.type != PacketType::kRequest) waited = Receive(lane_).header;
  absl::SleepFor(absl::Milliseconds(20));
  StartCall(lane_);
  const uint64_t call = Receive(lane_).header.call;
  Send(lane_, Header(PacketType::kResponse, call));
  const std::vector<Answer> answers = Await(1);
  EXPECT_EQ(answers[0].thread, std::this_thread::get_id());
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
  std::thread blocking([&] {
    const auto serialize = [](char*) { return true; };
    lane_.client->Call(
        {.method = 2,
         .deadline_ns = 0,
         .metadata = {},
         .message_size = 0,
         .serialize = serialize,
         .descriptors = {}},
        [] { return false; }, [](Reply& r) { EXPECT_EQ(r.status, kOk); });
  });
  PacketHeader waited = {};
  while (waited.type != PacketType::kRequest) waited = Receive(lane_).header;
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

TEST_F(CallbackLoopTest, ASlotIsFreeAgainHoweverItsCallEnds) {
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
    std::thread blocking([&] {
      const auto serialize = [](char*) { return true; };
      lane_.client->Call(
          {.method = 2,
           .deadline_ns = 0,
           .metadata = {},
           .message_size = 0,
           .serialize = serialize,
           .descriptors = {}},
          [] { return false; }, [](Reply&) {});
    });
    PacketHeader waited = {};
    while (waited.type != PacketType::kRequest) waited = Receive(lane_).header;
    StartCall(*lane_.client, "", [&](Reply&) { ++answered; });
    PacketHeader called = {};
    while (called.type != PacketType::kRequest) called = Receive(lane_).header;
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

TEST_F(CallbackLoopTest, WhoHandsALaneOnHasItsCallsNoLonger) {
  Share(lane_);
  ASSERT_OK(lane_.client->Release());
  EXPECT_EQ(Receive(lane_).header.type, PacketType::kLeave);
}

}  // namespace
}  // namespace capbroker::transport
