// A lane's client with a mailbox, whose service is the test's own. Tests only.
#ifndef TRANSPORT_POSTING_FIXTURE_H_
#define TRANSPORT_POSTING_FIXTURE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/string_view.h"
#include "base/status_matchers.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "transport/call_for_test.h"
#include "transport/lane_client.h"
#include "transport/lane_socket.h"
#include "transport/mailbox.h"
#include "transport/packet.h"

namespace capbroker::transport {

class PostingFixture : public ::testing::Test {
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
    const TestRequest test_request(message, deadline_ns);
    LaneRequest request = test_request.Build();
    request.brings_descriptors = brings_descriptors;
    Answer answer;
    client_->Call(
        request, [&] { return cancelled(); }, [&](Reply& reply) { answer = Answer(reply); });
    return answer;
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
  std::unique_ptr<LaneClient> client_;
};

}  // namespace capbroker::transport

#endif  // TRANSPORT_POSTING_FIXTURE_H_
