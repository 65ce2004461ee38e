// What one channel has given away, with the event loop in the test's hands.
#include "serving/channel/deliveries.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "authority/denial.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "serving/events/event_loop.h"
#include "tests/leases/dialer.pb.h"
#include "tests/leases/sockets.h"

namespace capbroker::serving {
namespace {

using authority::Budget;
using authority::ServiceSchema;
using ::capbroker::testing::ConnectTo;
using ::capbroker::testing::IsAtItsEnd;
using ::capbroker::testing::Listener;
using ::capbroker::testing::MakeSocketPair;
using ::capbroker::testing::Receive;
using ::capbroker::testing::Send;
using ::capbroker::testing::StatusIs;
using ::capbroker::testing::v1::DialerBudget;
using ::capbroker::testing::v1::DialForGoodResponse;
using ::capbroker::testing::v1::DialResponse;

class DeliveriesTest : public ::testing::Test {
 protected:
  static constexpr uint64_t kFamilyLeases = 80;

  // What the holder and the peer have of a TCP connection.
  std::pair<UniqueFd, UniqueFd> Connection() {
    UniqueFd held = ConnectTo(listener_.port());
    return {std::move(held), listener_.Accept()};
  }

  // TCP, UNIX.
  std::array<std::pair<UniqueFd, UniqueFd>, 2> OneOfEach() {
    return {Connection(), MakeSocketPair(SOCK_STREAM)};
  }

  absl::Status Lease(Deliveries& deliveries, const std::vector<FdRef>& connections) {
    std::vector<NamedDescriptor> named;
    for (const FdRef fd : connections) named.push_back({leased_, fd});
    return deliveries.Add(*method_, named);
  }
  absl::Status Lease(FdRef connection) { return Lease(*deliveries_, {connection}); }

  std::shared_ptr<Deliveries> Make() { return std::make_shared<Deliveries>(loop_.get(), budget_); }

  void RunLoop() {
    while (loop_->HasWork()) loop_->RunOnce();
  }

  const google::protobuf::FieldDescriptor* const leased_ =
      DialResponse::descriptor()->FindFieldByName("connections");
  const google::protobuf::FieldDescriptor* const for_good_ =
      DialForGoodResponse::descriptor()->FindFieldByName("connection");
  const std::unique_ptr<const ServiceSchema> schema_ =
      ServiceSchema::Compile(*DialResponse::descriptor()->file()->FindServiceByName("Dialer"))
          .value();
  const authority::MethodSchema* const method_ = schema_->FindMethod("Dial");
  const std::shared_ptr<Budget> budget_ = Budget::CreateDefault(*schema_);
  const std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
  const Listener listener_;
  std::shared_ptr<Deliveries> deliveries_ = Make();
};

// INVARIANT(leases-end-with-their-channel)
TEST_F(DeliveriesTest, EndOfTheChannelShutsDownWhatIsLeased) {
  const auto [tcp, tcp_peer] = Connection();
  const auto [local, local_peer] = MakeSocketPair(SOCK_STREAM);
  ASSERT_OK(Lease(tcp));
  ASSERT_OK(Lease(local));
  const UniqueFd another = Duplicate(tcp).value();
  ASSERT_EQ(Send(tcp, "before"), 0);
  ASSERT_EQ(Receive(tcp_peer, 6), "before");
  deliveries_->End();
  EXPECT_EQ(deliveries_->shut_down(), 2u);
  for (const FdRef held : {FdRef(tcp), FdRef(another), FdRef(local)}) {
    EXPECT_EQ(Send(held, "after"), EPIPE);
    EXPECT_TRUE(IsAtItsEnd(held));
  }
  EXPECT_TRUE(IsAtItsEnd(tcp_peer));
  EXPECT_TRUE(IsAtItsEnd(local_peer));
  EXPECT_EQ(budget_->Left("leases"), kFamilyLeases);
}

TEST_F(DeliveriesTest, EndOfTheChannelLeavesWhatIsNotLeased) {
  const auto [held, peer] = Connection();
  ASSERT_OK(deliveries_->Add(*schema_->FindMethod("DialForGood"), {{{for_good_, held}}}));
  deliveries_->End();
  EXPECT_EQ(deliveries_->shut_down(), 0u);
  EXPECT_EQ(Send(held, "after"), 0);
  google::protobuf::RepeatedPtrField<v1::Delivery> told;
  deliveries_->Tell(&told);
  ASSERT_EQ(told.size(), 1);
  EXPECT_EQ(told[0].method(), "DialForGood");
  EXPECT_EQ(told[0].field(), "connection");
  EXPECT_EQ(told[0].descriptors(), 1u);
}

// INVARIANT(leases-end-with-their-channel)
TEST_F(DeliveriesTest, NothingIsDeliveredAfterTheEnd) {
  const auto [held, peer] = Connection();
  deliveries_->End();
  EXPECT_THAT(Lease(held), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(deliveries_->Add(*schema_->FindMethod("DialForGood"), {{{for_good_, held}}}),
              StatusIs(absl::StatusCode::kUnavailable));
  google::protobuf::RepeatedPtrField<v1::Delivery> told;
  deliveries_->Tell(&told);
  EXPECT_TRUE(told.empty());
  EXPECT_EQ(budget_->Left("leases"), kFamilyLeases);
}

// INVARIANT(leases-end-with-their-channel)
TEST_F(DeliveriesTest, NoMomentIsGoodToSlipThroughTheEnd) {
  for (int round = 0; round < 200; ++round) {
    const auto deliveries = Make();
    std::vector<std::pair<UniqueFd, UniqueFd>> pairs;
    for (int i = 0; i < 8; ++i) pairs.push_back(MakeSocketPair(SOCK_STREAM));
    std::atomic<size_t> delivered{0};
    std::thread delivering([&] {
      for (auto& [held, peer] : pairs) {
        if (!Lease(*deliveries, {held}).ok()) return;
        delivered.fetch_add(1);
      }
    });
    while (delivered.load() < static_cast<size_t>(round % 8)) {
    }
    deliveries->End();
    delivering.join();
    EXPECT_EQ(deliveries->shut_down(), delivered.load());
    for (size_t i = 0; i < delivered.load(); ++i) EXPECT_EQ(Send(pairs[i].first, "x"), EPIPE);
  }
}

TEST_F(DeliveriesTest, ConnectionThatItsHolderShutsDownIsLeasedNoMore) {
  for (auto& [held, peer] : OneOfEach()) {
    ASSERT_OK(Lease(held));
    RunLoop();
    ASSERT_EQ(deliveries_->leases(), 1u);
    ASSERT_EQ(shutdown(held.get(), SHUT_RDWR), 0);
    RunLoop();
    EXPECT_EQ(deliveries_->leases(), 0u);
    EXPECT_EQ(budget_->Left("leases"), kFamilyLeases);
    EXPECT_TRUE(IsAtItsEnd(peer));
  }
  deliveries_->End();
  EXPECT_EQ(deliveries_->shut_down(), 0u) << "there was nothing left to take back";
}

// What deliveries.h asks holders for: Linux tells nobody of a close(2) while there is a duplicate.
TEST_F(DeliveriesTest, CloseAloneEndsNoLeasedConnection) {
  for (auto& [held, peer] : OneOfEach()) {
    ASSERT_OK(Lease(held));
    held.Reset();
    RunLoop();
    EXPECT_EQ(deliveries_->leases(), 1u);
    EXPECT_EQ(recv(peer.get(), nullptr, 0, MSG_DONTWAIT), -1) << "no end";
    deliveries_->End();
    EXPECT_TRUE(IsAtItsEnd(peer)) << "until the channel has one";
    deliveries_ = Make();
  }
}

TEST_F(DeliveriesTest, ConnectionThatEndedOneWayStaysLeased) {
  auto [held, peer] = Connection();
  ASSERT_OK(Lease(held));
  ASSERT_EQ(shutdown(held.get(), SHUT_WR), 0);
  RunLoop();
  EXPECT_EQ(deliveries_->leases(), 1u) << "its peer may send";
  peer.Reset();
  EXPECT_TRUE(IsAtItsEnd(held));
  RunLoop();
  EXPECT_EQ(deliveries_->leases(), 0u);
}

TEST_F(DeliveriesTest, ConnectionWhosePeerClosedStaysLeasedAsLongAsItCanBeWritten) {
  auto [tcp, tcp_peer] = Connection();
  auto [local, local_peer] = MakeSocketPair(SOCK_STREAM);
  ASSERT_OK(Lease(tcp));
  ASSERT_OK(Lease(local));
  tcp_peer.Reset();
  local_peer.Reset();
  EXPECT_TRUE(IsAtItsEnd(tcp));
  RunLoop();
  EXPECT_EQ(deliveries_->leases(), 1u) << "the TCP connection";
  EXPECT_EQ(Send(tcp, "is anybody there?"), 0);
  EXPECT_EQ(Receive(tcp, 1), "") << "nobody is";
  while (deliveries_->leases() == 1) loop_->RunOnce();
}

TEST_F(DeliveriesTest, TcpIsAskedWhetherThePeerIsThere) {
  const auto [held, peer] = Connection();
  ASSERT_OK(Lease(held));
  int value = 0;
  socklen_t size = sizeof value;
  ASSERT_EQ(getsockopt(held.get(), SOL_SOCKET, SO_KEEPALIVE, &value, &size), 0);
  EXPECT_EQ(value, 1);
  ASSERT_EQ(getsockopt(held.get(), IPPROTO_TCP, TCP_KEEPIDLE, &value, &size), 0);
  EXPECT_LE(value, 60);
}

TEST_F(DeliveriesTest, ChannelHasABoundOfLeases) {
  std::vector<std::pair<UniqueFd, UniqueFd>> pairs;
  for (size_t i = 0; i < Deliveries::kMostLeases; ++i) {
    pairs.push_back(MakeSocketPair(SOCK_STREAM));
    ASSERT_OK(Lease(pairs.back().first));
  }
  const auto [held, peer] = MakeSocketPair(SOCK_STREAM);
  const absl::Status refused = Lease(held);
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kResourceExhausted));
  const std::optional<v1::Denial> denial = authority::DenialOf(refused);
  ASSERT_TRUE(denial.has_value());
  EXPECT_EQ(denial->reason(), v1::Denial::BUDGET_EXHAUSTED);
  EXPECT_EQ(denial->field(), "leases_of_channel");
  EXPECT_EQ(denial->method(), "Dial");
  // There is room as soon as the holder has made it, before anybody was told.
  ASSERT_EQ(shutdown(pairs[7].first.get(), SHUT_RDWR), 0);
  EXPECT_OK(Lease(held));
}

TEST_F(DeliveriesTest, FamilyHasABudgetOfLeases) {
  const auto clone = Make();
  std::vector<std::pair<UniqueFd, UniqueFd>> pairs;
  for (size_t i = 0; i < kFamilyLeases; ++i) {
    pairs.push_back(MakeSocketPair(SOCK_STREAM));
    ASSERT_OK(Lease(i % 2 == 0 ? *clone : *deliveries_, {pairs.back().first}));
  }
  const auto [held, peer] = MakeSocketPair(SOCK_STREAM);
  const absl::Status refused = Lease(held);
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(authority::DenialOf(refused).value_or(v1::Denial()).field(), "leases");
  clone->End();
  EXPECT_OK(Lease(held));
}

TEST_F(DeliveriesTest, LeasesAllOfAnAnswerOrNothing) {
  const auto [held, peer] = Connection();
  const auto [datagrams, datagrams_peer] = MakeSocketPair(SOCK_DGRAM);
  EXPECT_THAT(Lease(*deliveries_, {held, datagrams}), StatusIs(absl::StatusCode::kInternal));
  EXPECT_EQ(deliveries_->leases(), 0u);
  EXPECT_EQ(budget_->Left("leases"), kFamilyLeases);
  deliveries_->End();
  EXPECT_EQ(Send(held, "x"), 0) << "it was not delivered, and is not shut down";
}

TEST_F(DeliveriesTest, LeasesConnectionsAlone) {
  const auto [packets, packets_peer] = MakeSocketPair(SOCK_SEQPACKET);
  const UniqueFd udp(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const UniqueFd reader(pipe_ends[0]);
  const UniqueFd writer(pipe_ends[1]);
  for (const FdRef fd : {FdRef(packets), FdRef(udp), FdRef(reader), FdRef(writer)}) {
    EXPECT_THAT(Lease(fd), StatusIs(absl::StatusCode::kInternal));
  }
  const UniqueFd not_connected(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_THAT(Lease(not_connected), StatusIs(absl::StatusCode::kUnavailable));
  const auto [ended, peer] = Connection();
  ASSERT_EQ(shutdown(ended.get(), SHUT_RDWR), 0);
  EXPECT_THAT(Lease(ended), StatusIs(absl::StatusCode::kUnavailable));
}

// INVARIANT(nobody-spins-for-a-stranger)
TEST_F(DeliveriesTest, HolderThatMakesErrorsWakesNobodyTwice) {
  const auto [held, peer] = Connection();
  const int on = 1;
  ASSERT_EQ(setsockopt(held.get(), SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on), 0);
  ASSERT_OK(Lease(held));
  RunLoop();
  // Each completion is an error for poll(2).
  const auto make_error = [&held = held] { return send(held.get(), "x", 1, MSG_ZEROCOPY); };
  ASSERT_EQ(make_error(), 1);
  EXPECT_TRUE(loop_->HasWork());
  RunLoop();
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(make_error(), 1);
    EXPECT_FALSE(loop_->HasWork());
  }
  EXPECT_EQ(deliveries_->leases(), 1u);
  deliveries_->End();
  EXPECT_EQ(Send(held, "x"), EPIPE);
}

}  // namespace
}  // namespace capbroker::serving
