// What no honest client does with the mailbox of its lane: the lane ends or the call is refused,
// and nobody else notices.
#include <grpcpp/client_context.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/status_matchers.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "tests/conformance/conformance.capbroker.h"
#include "tests/conformance/conformance.dispatch.h"
#include "tests/conformance/conformance_service.h"
#include "tests/conformance/local_family.h"
#include "transport/channel.h"
#include "transport/lane_socket.h"
#include "transport/mailbox.h"
#include "transport/packet.h"
#include "transport/stub.h"

namespace capbroker::testing {
namespace {

using transport::Mailbox;
using transport::PacketHeader;
using transport::PacketType;

constexpr char kEcho[] = "/capbroker.testing.v1.Conformance/Echo";
constexpr char kWait[] = "/capbroker.testing.v1.Conformance/Wait";
constexpr int kPermissionDenied = 7;
// Of transport/mailbox.cc: a door at which somebody looks.
constexpr uint32_t kAwake = 1;
// As much of the memory as has the door, the requests that are there, and the first slot.
constexpr size_t kFirstPage = 4096;

class HostileMailboxTest : public ::testing::Test {
 protected:
  void SetUp() override {
    v1::ConformanceLimits limits;
    limits.add_words("yes");
    family_ = std::make_unique<LocalFamily>(
        v1::CapbrokerMakeDispatch(std::make_unique<ConformanceService>()), limits);
    Channel channel(family_->TakeLane());
    ASSERT_OK_AND_ASSIGN(other_, channel.Clone());
    ASSERT_OK_AND_ASSIGN(lane_, channel.Release());
    ASSERT_OK(transport::SetCancelTick(lane_));
    GetMailbox();
  }
  void TearDown() override {
    v1::EchoRequest request;
    ASSERT_TRUE(request.ParseFromString(EchoOf("yes")));
    v1::EchoResponse response;
    grpc::ClientContext context;
    const grpc::Status status =
        NewStub<v1::Conformance>(other_)->Echo(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    munmap(page_, kFirstPage);
  }

  static PacketHeader Header(const char* method, uint64_t call) {
    PacketHeader header = {};
    header.type = PacketType::kRequest;
    header.call = call;
    header.method = transport::MethodId(method);
    return header;
  }
  static std::string EchoOf(const char* word) {
    v1::EchoRequest request;
    request.set_word(word);
    request.set_payload("payload");
    request.set_times(1);
    return request.SerializeAsString();
  }

  // Calls by the socket until the service offers a mailbox and a thread waits there.
  void GetMailbox() {
    const std::string echo = EchoOf("yes");
    UniqueFd memory;
    const int64_t end_ns = transport::MonotonicNowNs() + 20'000'000'000;
    for (uint64_t call = 1; transport::MonotonicNowNs() < end_ns && !memory.valid(); ++call) {
      PacketHeader header = Header(kEcho, call);
      header.flags = transport::kFlagWouldPost | transport::kFlagNoMailbox;
      ASSERT_OK(transport::SendPacket(lane_, {header, {}, echo, {}}).status);
      for (bool answered = false; !answered;) {
        ASSERT_OK_AND_ASSIGN(std::optional<transport::ReceivedPacket> packet, Receive());
        ASSERT_TRUE(packet.has_value());
        answered = packet->view.header.type == PacketType::kResponse;
        if (!answered) memory = std::move(packet->descriptors.front());
      }
    }
    ASSERT_TRUE(memory.valid());
    ASSERT_OK_AND_ASSIGN(mailbox_, Mailbox::Map(memory));
    page_ = mmap(nullptr, kFirstPage, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
    ASSERT_NE(page_, MAP_FAILED);
  }
  absl::StatusOr<std::optional<transport::ReceivedPacket>> Receive() {
    absl::StatusOr<std::optional<transport::ReceivedPacket>> packet = std::nullopt;
    for (int i = 0; i < 500 && packet.ok() && !packet->has_value(); ++i) {
      packet = transport::ReceivePacket(lane_, buffer_, transport::PacketDirection::kToClient,
                                        transport::Blocking::kWait);
    }
    return packet;
  }

  bool Post(const PacketHeader& header, absl::string_view message, int slot = 0) {
    return mailbox_->Post(slot, {header, {}, message, {}}, Mailbox::Wait::kSleeping);
  }
  // As if a thread looked for it, whatever the memory says.
  void PostAnyhow(const PacketHeader& header, absl::string_view message) {
    door() = kAwake;
    (void)Post(header, message);
  }
  Mailbox::Answer Await(int slot = 0) {
    Mailbox::Answer answer = Mailbox::Answer::kNone;
    for (int i = 0; i < 2000 && answer == Mailbox::Answer::kNone; ++i) {
      usleep(1000);
      answer = mailbox_->LookForAnswer(slot);
    }
    return answer;
  }
  int AnswerStatus() {
    std::string bytes(Mailbox::kCapacity, '\0');
    bytes.resize(mailbox_->ReadAnswer(0, bytes.data()));
    const absl::StatusOr<transport::PacketView> view =
        transport::ParsePacket(bytes, 0, transport::PacketDirection::kToClient);
    EXPECT_OK(view);
    return view.ok() ? view->header.status : -1;
  }
  // Whether the service has ended the lane, which its mailbox tells, too.
  bool Ended() {
    const bool told = Await() == Mailbox::Answer::kOnLane;
    return told && absl::IsUnavailable(Receive().status());
  }
  std::atomic<uint32_t>& door() { return *static_cast<std::atomic<uint32_t>*>(page_); }
  std::atomic<uint32_t>& posted() { return *(static_cast<std::atomic<uint32_t>*>(page_) + 1); }

  std::unique_ptr<LocalFamily> family_;
  std::shared_ptr<Channel> other_;  // whose holder is honest
  UniqueFd lane_;
  transport::ReceiveBuffer buffer_;
  std::unique_ptr<Mailbox> mailbox_;
  void* page_ = nullptr;
};

TEST_F(HostileMailboxTest, WhatIsPostedIsCheckedAsWhatIsSent) {
  ASSERT_TRUE(Post(Header(kEcho, 10'001), EchoOf("yes")));
  ASSERT_EQ(Await(), Mailbox::Answer::kHere);
  EXPECT_EQ(AnswerStatus(), 0);
  ASSERT_TRUE(Post(Header(kEcho, 10'002), EchoOf("no")));
  ASSERT_EQ(Await(), Mailbox::Answer::kHere);
  EXPECT_EQ(AnswerStatus(), kPermissionDenied);
  // Who still has the mailbox has nothing.
  family_->Revoke();
  ASSERT_TRUE(Post(Header(kEcho, 10'003), EchoOf("yes")));
  ASSERT_EQ(Await(), Mailbox::Answer::kHere);
  EXPECT_EQ(AnswerStatus(), kPermissionDenied);
}

TEST_F(HostileMailboxTest, AnotherPacketThanARequestEndsTheLane) {
  PacketHeader header = Header(kEcho, 10'001);
  header.type = PacketType::kCancel;
  header.method = 0;
  ASSERT_TRUE(Post(header, {}));
  EXPECT_TRUE(Ended());
}

TEST_F(HostileMailboxTest, ARequestInMemoryEndsTheLane) {
  PacketHeader header = Header(kEcho, 10'001);
  header.flags = transport::kFlagKept | transport::kFlagInKept;
  ASSERT_TRUE(Post(header, {}));
  EXPECT_TRUE(Ended());
}

TEST_F(HostileMailboxTest, BytesThatAreNoPacketEndTheLane) {
  std::memset(static_cast<char*>(page_) + 2 * sizeof door(), 0xff, kFirstPage - 2 * sizeof door());
  posted() = 1;
  usleep(100'000);  // it may be asleep
  EXPECT_TRUE(absl::IsUnavailable(Receive().status()));
}

TEST_F(HostileMailboxTest, ASecondCallInASlotIsNotServedBesideTheFirst) {
  v1::WaitRequest wait;
  wait.set_word("yes");
  wait.set_milliseconds(300);
  const int handled = ConformanceService::handled();
  ASSERT_TRUE(Post(Header(kWait, 10'001), wait.SerializeAsString()));
  while (ConformanceService::handled() == handled) usleep(100);
  PostAnyhow(Header(kEcho, 10'002), EchoOf("yes"));
  usleep(100'000);
  EXPECT_EQ(ConformanceService::handled(), handled + 1);
}

// INVARIANT(nobody-spins-for-a-stranger)
TEST_F(HostileMailboxTest, RequestsThatAreSaidToBeThereAndAreNotKeepNobodyBusy) {
  posted() = ~uint32_t{0} << Mailbox::kSlots;
  const clock_t before = clock();
  usleep(300'000);
  EXPECT_LT(clock() - before, CLOCKS_PER_SEC / 20);
}

// A handler of a posted call that does not come back delays no call of its lane.
TEST_F(HostileMailboxTest, ACallBesideOneThatDoesNotComeBackIsServed) {
  v1::WaitRequest wait;
  wait.set_word("yes");
  wait.set_milliseconds(1000);
  const int64_t begun_ns = transport::MonotonicNowNs();
  ASSERT_TRUE(Post(Header(kWait, 10'001), wait.SerializeAsString()));
  ASSERT_TRUE(Post(Header(kEcho, 10'002), EchoOf("yes"), /*slot=*/1));
  EXPECT_EQ(Await(1), Mailbox::Answer::kHere);
  EXPECT_LT(transport::MonotonicNowNs() - begun_ns, 500'000'000);
  EXPECT_EQ(Await(0), Mailbox::Answer::kHere);
}

TEST_F(HostileMailboxTest, ACallIdThatIsInUseIsRefused) {
  v1::WaitRequest wait;
  wait.set_word("yes");
  wait.set_milliseconds(1000);
  const std::string message = wait.SerializeAsString();
  ASSERT_OK(transport::SendPacket(lane_, {Header(kWait, 10'001), {}, message, {}}).status);
  PostAnyhow(Header(kEcho, 10'001), EchoOf("yes"));
  // Whichever came first is served; the other is refused, and only one answer is OK.
  ASSERT_OK_AND_ASSIGN(const std::optional<transport::ReceivedPacket> packet, Receive());
  ASSERT_TRUE(packet.has_value());
  EXPECT_EQ(packet->view.header.call, 10'001u);
}

TEST_F(HostileMailboxTest, NothingIsServedAfterTheLaneHasEnded) {
  const int handled = ConformanceService::handled();
  ASSERT_EQ(shutdown(lane_.get(), SHUT_RDWR), 0);
  usleep(50'000);
  for (uint64_t call = 0; call < 20; ++call) {
    PostAnyhow(Header(kEcho, 20'000 + call), EchoOf("yes"));
    usleep(5000);
  }
  EXPECT_EQ(ConformanceService::handled(), handled);
}

TEST_F(HostileMailboxTest, WordsThatChangeAllTheTimeHarmNobodyElse) {
  std::atomic<bool> stop{false};
  std::thread flipping([&] {
    for (uint32_t value = 0; !stop; ++value) {
      door() = value % 7;
      posted() = value % 3;
      *(static_cast<std::atomic<uint32_t>*>(page_) + 16) = value % 5;
    }
  });
  usleep(300'000);
  stop = true;
  flipping.join();
}

}  // namespace
}  // namespace capbroker::testing
