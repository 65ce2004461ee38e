// A service process that was taken over, and what it can do to the broker: nothing.
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "absl/types/span.h"
#include "base/status_matchers.h"
#include "broker/testing/probe.dispatch.h"
#include "broker/testing/probe_client.h"
#include "broker/testing/probe_service.h"
#include "capbroker/v1/control.pb.h"
#include "client/broker.h"
#include "gtest/gtest.h"
#include "services/service.h"
#include "transport/lane_socket.h"
#include "transport/packet.h"

namespace capbroker {
namespace {

using testing::Probe;
using testing::ProbeClient;
using transport::PacketType;

enum Attack { kGarbage = 1, kClones, kBuffers, kCancels, kRefusedCalls, kStrayAnswers, kEpochs };
// Longer than the broker gives a process that has misbehaved.
constexpr absl::Duration kAttackTime = absl::Seconds(2);

// The lanes of a service process: it is the client of the one that leads to its
// supervisor, whose receive timeout is set.
enum class Lane { kNone, kSupervisor, kServed };

Lane KindOf(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET) {
    return Lane::kNone;
  }
  timeval timeout = {};
  size = sizeof timeout;
  getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, &size);
  return timeout.tv_usec != 0 ? Lane::kSupervisor : Lane::kServed;
}

// The first of them: the lane on which the broker commands has the lowest number.
int FindLane(Lane wanted) {
  for (int fd = 3; fd < 64; ++fd) {
    if (KindOf(fd) == wanted) return fd;
  }
  return -1;
}

transport::OutgoingPacket MakePacket(PacketType type, uint64_t call, absl::string_view message,
                                     absl::Span<const FdRef> descriptors) {
  transport::OutgoingPacket packet;
  packet.header.type = type;
  packet.header.call = call;
  packet.header.method = transport::MethodId("/capbroker.v1.Supervisor/RegisterClone");
  if (type == PacketType::kBufferRequest) packet.header.message_size = 100;
  packet.message = message;
  packet.descriptors = descriptors;
  return packet;
}

// Sends as fast as it can, and makes room for answers by dropping them.
void RunAttack(Attack attack, int lane) {
  v1::RegisterCloneRequest clone;
  clone.set_parent(1);
  clone.mutable_service_end()->set_slot(1);
  const std::string registration = clone.SerializeAsString();
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0) return;
  const FdRef end = FdRef::FromRaw(ends[0]);
  const absl::Time stop = absl::Now() + kAttackTime;
  const auto send_packet = [&](PacketType type, uint64_t call, absl::string_view message = {},
                               absl::Span<const FdRef> descriptors = {}) {
    (void)transport::SendPacket(FdRef::FromRaw(lane), MakePacket(type, call, message, descriptors));
  };
  for (uint64_t i = 1; absl::Now() < stop; ++i) {
    switch (attack) {
      case kGarbage:
        (void)!send(lane, "no honest peer sends this", 25, MSG_DONTWAIT | MSG_NOSIGNAL);
        break;
      case kClones:
        send_packet(PacketType::kRequest, i, registration, absl::MakeConstSpan(&end, 1));
        break;
      case kBuffers:
        send_packet(PacketType::kBufferRequest, i);
        break;
      case kCancels:
        send_packet(PacketType::kCancel, i);
        break;
      case kRefusedCalls:
        send_packet(PacketType::kRequest, i);
        break;
      case kStrayAnswers:
        send_packet(PacketType::kResponse, i);
        break;
      case kEpochs:
        send_packet(PacketType::kEpoch, i);
        break;
    }
    char dropped[4096];
    while (attack < kStrayAnswers && recv(lane, dropped, sizeof dropped, MSG_DONTWAIT) > 0) {
    }
  }
}

// Attacks the broker. The time to sleep says how.
class HostileService : public testing::v1::Probe::Service {
 public:
  static constexpr char kInstance[] = "hostile";
  grpc::Status Sleep(grpc::ServerContext*, const testing::v1::SleepRequest* request,
                     testing::v1::SleepResponse*) override {
    const auto attack = static_cast<Attack>(request->milliseconds());
    const int lane = FindLane(attack < kStrayAnswers ? Lane::kSupervisor : Lane::kServed);
    if (lane < 0) return grpc::Status(grpc::StatusCode::INTERNAL, "no lane to attack");
    std::thread others[3];
    for (std::thread& other : others) other = std::thread([=] { RunAttack(attack, lane); });
    for (std::thread& other : others) other.join();
    return grpc::Status::OK;
  }
};

class HostileServiceTest : public ::testing::TestWithParam<Attack> {};

// TRUST(worker)
TEST_P(HostileServiceTest, HarmsNeitherTheBrokerNorOtherFamilies) {
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start());
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> good, broker.Open(Probe({"a"})));
  ASSERT_OK_AND_ASSIGN(const int process, ProbeClient(good).Say("a"));
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> hostile,
                       broker.Open(Serve<HostileService>(testing::v1::ProbeLimits())));
  ASSERT_OK_AND_ASSIGN(const v1::InspectResponse before, broker.Inspect());
  absl::Status attacked;
  std::thread caller([&] { attacked = ProbeClient(hostile).Sleep(GetParam()); });
  const absl::Time end = absl::Now() + kAttackTime;
  while (absl::Now() < end) {
    const absl::Time start = absl::Now();
    ASSERT_OK_AND_ASSIGN(const v1::InspectResponse during, broker.Inspect());
    // INVARIANT(nobody-spins-for-a-stranger)
    EXPECT_LT(absl::Now() - start, absl::Seconds(1));
    // The clones of its budget (64), the buffers of one lane (32), and a new process.
    EXPECT_LT(during.broker_descriptors(), before.broker_descriptors() + 64 + 32 + 16);
    EXPECT_EQ(during.broker_process(), before.broker_process());
    EXPECT_EQ(during.zygote_process(), before.zygote_process());
    usleep(10'000);
  }
  caller.join();
  EXPECT_NE(attacked.code(), absl::StatusCode::kInternal) << attacked;
  EXPECT_EQ(ProbeClient(good).Say("a").value_or(-1), process);
  EXPECT_OK(broker.Open(Probe({"a"})));
}

INSTANTIATE_TEST_SUITE_P(Attacks, HostileServiceTest,
                         ::testing::Values(kGarbage, kClones, kBuffers, kCancels, kRefusedCalls,
                                           kStrayAnswers, kEpochs));

}  // namespace
}  // namespace capbroker
