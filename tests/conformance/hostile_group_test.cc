// What no honest client does with the mailbox that its lanes share: the lane ends or the call is
// refused, and nobody else notices.
#include <grpcpp/client_context.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/status_matchers.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "tests/conformance/hostile_lane_fixture.h"
#include "transport/shared_mailbox.h"

namespace capbroker::testing {
namespace {

using transport::SharedMailbox;

constexpr char kWait[] = "/capbroker.testing.v1.Conformance/Wait";
constexpr int kPermissionDenied = 7;
constexpr size_t kMemory = size_t{SharedMailbox::kSlots} * 512;

std::string EchoOf(const char* word) {
  v1::EchoRequest request;
  request.set_word(word);
  request.set_payload("payload");
  request.set_times(1);
  return request.SerializeAsString();
}

class HostileGroupTest : public HostileLaneTest {
 protected:
  void SetUp() override {
    lane_ = HostileLane();
    ASSERT_OK(transport::SetCancelTick(lane_));
    const Joined joined = Join(lane_, "");
    ASSERT_TRUE(joined.memory.valid());
    key_ = joined.key;
    number_ = joined.number;
    ASSERT_OK_AND_ASSIGN(mailbox_, SharedMailbox::Map(joined.memory));
    void* memory =
        mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_SHARED, joined.memory.get(), 0);
    ASSERT_NE(memory, MAP_FAILED);
    memory_ = static_cast<char*>(memory);
  }
  void TearDown() override {
    EXPECT_TRUE(Echo());
    munmap(memory_, kMemory);
  }

  struct Joined {
    std::string key;
    uint32_t number = 0;
    UniqueFd memory;
  };
  Joined Join(FdRef lane, const std::string& keys) {
    PacketHeader header = {};
    header.type = PacketType::kJoin;
    EXPECT_OK(transport::SendPacket(lane, {header, {}, keys, {}}).status);
    transport::ReceivedPacket packet = NextPacket(lane);
    EXPECT_EQ(packet.view.header.type, PacketType::kShared);
    Joined joined = {std::string(packet.view.message),
                     static_cast<uint32_t>(packet.view.header.method), UniqueFd()};
    if (!packet.descriptors.empty()) joined.memory = std::move(packet.descriptors.front());
    return joined;
  }

  static PacketHeader Header(const char* method, uint64_t call) { return Request(method, call, 0); }
  // The service looks: it is woken by a packet that does nothing.
  void Put(const PacketHeader& header, absl::string_view message, int slot = 0) {
    for (int i = 0; i < 1000; ++i) {
      if (mailbox_->PutRequest(slot, number_, {header, {}, message, {}})) return;
      const SharedMailbox::Resting resting = mailbox_->service_rests();
      Wake();
      mailbox_->RouseService(resting);
    }
    ADD_FAILURE() << "the service always rests";
  }
  void Wake() {
    PacketHeader cancel = {};
    cancel.type = PacketType::kCancel;
    (void)transport::SendPacket(lane_, {cancel, {}, {}, {}});
  }
  // The answer's status; -1: none comes, or the lane has ended.
  int AnswerStatus() {
    for (int i = 0; i < 2000; ++i) {
      if (const std::optional<int> slot = mailbox_->TakeAnswer()) {
        char bytes[SharedMailbox::kCapacity];
        const size_t size = mailbox_->ReadAnswer(*slot, bytes);
        const auto view = transport::ParsePacket(absl::string_view(bytes, size), 0,
                                                 transport::PacketDirection::kToClient);
        EXPECT_OK(view);
        return view.ok() ? view->header.status : -1;
      }
      const auto packet = transport::ReceivePacket(
          lane_, buffer_, transport::PacketDirection::kToClient, transport::Blocking::kDontWait);
      if (!packet.ok()) return -1;
      if (packet->has_value()) return (*packet)->view.header.status;
      usleep(1000);
    }
    return -1;
  }
  std::atomic<uint64_t>& full() { return *reinterpret_cast<std::atomic<uint64_t>*>(memory_ + 64); }

  UniqueFd lane_;
  std::string key_;
  uint32_t number_ = 0;
  std::unique_ptr<SharedMailbox> mailbox_;
  char* memory_ = nullptr;
};

TEST_F(HostileGroupTest, WhatIsPutIsCheckedAsWhatIsSent) {
  Put(Header(kEcho, 1), EchoOf("yes"));
  EXPECT_EQ(AnswerStatus(), 0);
  Put(Header(kEcho, 2), EchoOf("no"));
  EXPECT_EQ(AnswerStatus(), kPermissionDenied);
  // Who still has the memory has nothing.
  family_->Revoke(2);
  Put(Header(kEcho, 3), EchoOf("yes"));
  EXPECT_EQ(AnswerStatus(), kPermissionDenied);
}

TEST_F(HostileGroupTest, AnotherPacketThanARequestEndsTheLane) {
  PacketHeader header = {};
  header.type = PacketType::kCancel;
  Put(header, {});
  EXPECT_TRUE(Closed(lane_));
}

TEST_F(HostileGroupTest, ARequestInMemoryEndsTheLane) {
  PacketHeader header = Header(kEcho, 1);
  header.flags = transport::kFlagKept | transport::kFlagInKept;
  Put(header, {});
  EXPECT_TRUE(Closed(lane_));
}

TEST_F(HostileGroupTest, BytesThatAreNoPacketEndTheLane) {
  std::memset(memory_ + 384, 0xff, kMemory - 384);
  for (int slot = 0; slot < SharedMailbox::kSlots; ++slot) {
    std::memcpy(memory_ + 384 + 512 * slot + 4, &number_, sizeof number_);
    if (slot == 600) break;
  }
  full() = ~uint64_t{0};
  Wake();
  EXPECT_TRUE(Closed(lane_));
}

TEST_F(HostileGroupTest, ASecondCallInASlotIsNotServedBesideTheFirst) {
  v1::WaitRequest wait;
  wait.set_word("yes");
  wait.set_milliseconds(300);
  const int handled = ConformanceService::handled();
  Put(Header(kWait, 1), wait.SerializeAsString());
  while (ConformanceService::handled() == handled) usleep(100);
  Put(Header(kEcho, 2), EchoOf("yes"));
  EXPECT_TRUE(Closed(lane_));
  EXPECT_EQ(ConformanceService::handled(), handled + 1);
}

// A handler of a call there that does not come back delays no call beside it.
TEST_F(HostileGroupTest, ACallBesideOneThatDoesNotComeBackIsServed) {
  v1::WaitRequest wait;
  wait.set_word("yes");
  wait.set_milliseconds(1000);
  const int64_t begun_ns = transport::MonotonicNowNs();
  Put(Header(kWait, 1), wait.SerializeAsString());
  Put(Header(kEcho, 2), EchoOf("yes"), /*slot=*/1);
  EXPECT_EQ(AnswerStatus(), 0);
  EXPECT_LT(transport::MonotonicNowNs() - begun_ns, 500'000'000);
  EXPECT_EQ(AnswerStatus(), 0);
  EXPECT_GE(transport::MonotonicNowNs() - begun_ns, 900'000'000);
}

TEST_F(HostileGroupTest, ALaneOfNobodyIsNotServed) {
  const int handled = ConformanceService::handled();
  number_ += 1;
  Put(Header(kEcho, 1), EchoOf("yes"));
  for (int i = 0; i < 10'000 && !mailbox_->IsLeft(0); ++i) usleep(1000);
  EXPECT_TRUE(mailbox_->IsLeft(0));
  EXPECT_EQ(ConformanceService::handled(), handled);
  EXPECT_FALSE(Closed(lane_));
}

// Who has learned another holder's key, but not its memory, can add to what that one can call on,
// and nothing else.
TEST_F(HostileGroupTest, AKeyGivesNoMemory) {
  const UniqueFd thief = HostileLane();
  const Joined joined = Join(thief, key_);
  EXPECT_FALSE(joined.memory.valid());
  EXPECT_EQ(joined.key, key_);
  EXPECT_NE(joined.number, number_);
}

TEST_F(HostileGroupTest, AJoinThatIsNoneEndsTheLane) {
  PacketHeader header = {};
  header.type = PacketType::kJoin;
  ASSERT_OK(transport::SendPacket(lane_, {header, {}, "no key", {}}).status);
  EXPECT_TRUE(Closed(lane_));
  const UniqueFd other = HostileLane();
  const std::string many(transport::kJoinKeySize * (transport::kMaxJoinKeys + 1), 'x');
  ASSERT_OK(transport::SendPacket(other, {header, {}, many, {}}).status);
  EXPECT_TRUE(Closed(other));
}

TEST_F(HostileGroupTest, WhoJoinsAgainAndAgainHasOneGroup) {
  const int before = OpenDescriptors();
  for (int i = 0; i < 300; ++i) {
    const Joined joined = Join(lane_, "");
    ASSERT_TRUE(joined.memory.valid()) << i;
  }
  ExpectDescriptorsAgain(before);
}

// A lane that is handed on takes its new holder's word.
TEST_F(HostileGroupTest, AFormerHolderHasTheLaneNoLonger) {
  const int handled = ConformanceService::handled();
  const Joined joined = Join(lane_, "");
  ASSERT_NE(joined.key, key_);
  for (int i = 0; i < 100; ++i) {
    (void)mailbox_->PutRequest(
        i, number_, {Header(kEcho, 10'000u + static_cast<unsigned>(i)), {}, EchoOf("yes"), {}});
    full() = ~uint64_t{0};
    Wake();
    usleep(1000);
  }
  EXPECT_EQ(ConformanceService::handled(), handled);
  EXPECT_FALSE(Closed(lane_));
}

TEST_F(HostileGroupTest, NothingIsServedAfterTheLaneHasEnded) {
  const int handled = ConformanceService::handled();
  ASSERT_EQ(shutdown(lane_.get(), SHUT_RDWR), 0);
  usleep(50'000);
  for (int slot = 0; slot < 20; ++slot) {
    mailbox_->RouseService(mailbox_->service_rests());
    (void)mailbox_->PutRequest(slot, number_, {Header(kEcho, 1), {}, EchoOf("yes"), {}});
  }
  EXPECT_TRUE(Echo());
  EXPECT_EQ(ConformanceService::handled(), handled + 1);
}

// INVARIANT(no-hang): a thread that attends a lane beside the loop would take the packet that is to
// wake the loop for the lane's group, and nobody would look at the mailbox.
class BusyGroupTest : public ::testing::TestWithParam<bool> {};

INSTANTIATE_TEST_SUITE_P(JoinsBeforeItIsBusy, BusyGroupTest, ::testing::Bool());

TEST_P(BusyGroupTest, ALaneInAGroupIsNotAttended) {
  v1::ConformanceLimits limits;
  limits.add_words("yes");
  // Of quick handlers, which do not have the loop look after them.
  LocalFamily family(
      v1::MakeConformanceDispatch(std::make_unique<ConformanceService>(), /*quick=*/true), limits);
  const UniqueFd lane = family.TakeLane();
  ASSERT_OK(transport::SetCancelTick(lane));
  const std::string echo = EchoOf("yes");
  transport::ReceiveBuffer buffer;
  uint64_t call = 0;
  const auto next = [&] {
    auto packet = transport::ReceivePacket(lane, buffer, transport::PacketDirection::kToClient,
                                           transport::Blocking::kWait);
    return packet.ok() && packet->has_value() ? **std::move(packet) : transport::ReceivedPacket();
  };
  const auto send = [&] {
    ASSERT_OK(transport::SendPacket(lane, {Request(kEcho, ++call, 0), {}, echo, {}}).status);
  };
  std::unique_ptr<SharedMailbox> mailbox;
  uint32_t number = 0;
  const auto join = [&] {
    PacketHeader header = {};
    header.type = PacketType::kJoin;
    ASSERT_OK(transport::SendPacket(lane, {header, {}, {}, {}}).status);
    const transport::ReceivedPacket packet = next();
    ASSERT_EQ(packet.descriptors.size(), 1u);
    number = static_cast<uint32_t>(packet.view.header.method);
    ASSERT_OK_AND_ASSIGN(mailbox, SharedMailbox::Map(packet.descriptors[0]));
  };
  if (GetParam()) join();
  for (int i = 0; i < 2000; ++i) {
    send();
    ASSERT_EQ(next().view.header.call, call);
  }
  if (!GetParam()) join();
  // As many as make a lane busy, and more.
  for (int i = 0; i < 600; ++i) {
    SharedMailbox::Resting resting;
    for (int t = 0; t < 100'000 && !(resting = mailbox->service_rests()); ++t) usleep(10);
    ASSERT_TRUE(resting.has_value());
    send();
    mailbox->RouseService(resting);
    // Its answer comes here, or by the socket.
    int expected = 1;
    if (mailbox->PutRequest(0, number, {Request(kEcho, 1'000'000u + call, 0), {}, echo, {}})) {
      ++expected;
    }
    for (int t = 0; t < 100 && expected > 0; ++t) {
      if (next().view.header.type == PacketType::kResponse) --expected;
      if (mailbox->TakeAnswer()) --expected;
    }
    ASSERT_EQ(expected, 0) << i;
  }
}

// INVARIANT(nobody-spins-for-a-stranger)
TEST_F(HostileGroupTest, ALieAboutWhoRestsKeepsNobodyBusy) {
  std::memset(memory_, 0xff, 4);
  std::memset(memory_ + 192, 0xff, 4);
  const clock_t before = clock();
  usleep(300'000);
  EXPECT_LT(clock() - before, CLOCKS_PER_SEC / 20);
}

TEST_F(HostileGroupTest, WordsThatChangeAllTheTimeHarmNobodyElse) {
  std::atomic<bool> stop{false};
  std::thread flipping([&] {
    for (uint64_t value = 0; !stop; ++value) {
      reinterpret_cast<std::atomic<uint32_t>*>(memory_)->store(static_cast<uint32_t>(value % 7));
      full() = value * 0x9e3779b97f4a7c15;
      reinterpret_cast<std::atomic<uint32_t>*>(memory_ + 192)
          ->store(static_cast<uint32_t>(value % 5));
      reinterpret_cast<std::atomic<uint32_t>*>(memory_ + 384)
          ->store(static_cast<uint32_t>(value % 4));
    }
  });
  for (int i = 0; i < 300; ++i) {
    Wake();
    EXPECT_TRUE(Echo());
    usleep(1000);
  }
  stop = true;
  flipping.join();
}

}  // namespace
}  // namespace capbroker::testing
