#include "transport/lane_reader.h"

#include <poll.h>
#include <time.h>

#include <algorithm>

#include "transport/packet.h"

namespace capbroker::transport {
namespace {

constexpr int64_t kTickNs = int64_t{kCancelTickMs} * 1'000'000;

// One for each thread, however many lanes it receives on.
ReceiveBuffer& Received() {
  thread_local ReceiveBuffer buffer;
  return buffer;
}

}  // namespace

absl::StatusOr<std::optional<ReceivedPacket>> LaneReader::Receive(FdRef lane, Wait wait) {
  if (wait.blocking == Blocking::kWait && wait.deadline_ns != 0) {
    // The lane's own timeout is too coarse for what is left.
    const int64_t left = std::max<int64_t>(wait.deadline_ns - MonotonicNowNs(), 0);
    if (left < kTickNs) {
      pollfd p = {lane.get(), POLLIN, 0};
      const timespec most = {0, static_cast<long>(left)};
      ppoll(&p, 1, &most, nullptr);
      wait.blocking = Blocking::kDontWait;
    }
  }
  absl::StatusOr<std::optional<ReceivedPacket>> packet = std::nullopt;
  const auto receive = [&](Blocking how) {
    packet = ReceivePacket(lane, Received(), PacketDirection::kToClient, how);
    return !packet.ok() || packet->has_value();
  };
  const bool looks =
      wait.may_look && wait.blocking == Blocking::kWait && service_awake_ && polling_.looks();
  if (!looks || !polling_.Look([&] { return receive(Blocking::kDontWait); })) {
    receive(wait.blocking);
  }
  if (packet.ok() && packet->has_value()) {
    polling_.Earn();
    service_awake_ = ((*packet)->view.header.flags & kFlagAwake) != 0;
  }
  return packet;
}

}  // namespace capbroker::transport
