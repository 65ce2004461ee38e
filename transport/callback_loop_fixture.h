// A callback loop with a lane, whose service is the test's own. Tests only.
#ifndef TRANSPORT_CALLBACK_LOOP_FIXTURE_H_
#define TRANSPORT_CALLBACK_LOOP_FIXTURE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "transport/call_for_test.h"
#include "transport/callback_loop.h"
#include "transport/lane_client.h"
#include "transport/lane_socket.h"
#include "transport/packet.h"
#include "transport/posted_packet.h"
#include "transport/shared_mailbox.h"

namespace capbroker::transport {
inline constexpr char kKey[] = "sixteen bytes...";
static_assert(sizeof kKey == kJoinKeySize + 1);

struct Lane {
  UniqueFd service;
  std::unique_ptr<LaneClient> client;
};

class CallbackLoopFixture : public ::testing::Test {
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
    const TestRequest request(message, deadline_ns);
    client.StartCall(request.Build(), std::move(cancelled), std::move(done));
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
    answers_.push_back(Answer(reply));
    answered_by_ = std::this_thread::get_id();
  }
  // A thread that waits for an answer.
  std::thread CallBlocking() {
    return std::thread([this] {
      const TestRequest request("");
      lane_.client->Call(
          request.Build(), [] { return false; }, [](Reply& r) { EXPECT_EQ(r.status, kOk); });
    });
  }
  // The next request of the socket, which comes for sure.
  PacketHeader AwaitRequest() {
    PacketHeader header = {};
    while (header.type != PacketType::kRequest) header = Receive(lane_).header;
    return header;
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
    const auto view = ParsePosted(absl::string_view(bytes, size), PacketDirection::kToService);
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
  std::thread::id answered_by_;  // of the last one
  Lane lane_;
};

}  // namespace capbroker::transport

#endif  // TRANSPORT_CALLBACK_LOOP_FIXTURE_H_
