#include "serving/lane/lane_outbox.h"

#include <utility>

#include "absl/container/inlined_vector.h"
#include "transport/lane_socket.h"

namespace capbroker::serving {

void LaneOutbox::Add(const transport::PacketHeader& header, absl::string_view metadata,
                     absl::string_view message, std::vector<UniqueFd> descriptors) {
  packets_.push_back({header, std::string(metadata), std::string(message), std::move(descriptors)});
  bytes_ += packets_.back().size();
}

bool LaneOutbox::Send(FdRef lane, std::vector<Refused>& refused) {
  while (!packets_.empty()) {
    const Packet& packet = packets_.front();
    const absl::InlinedVector<FdRef, 4> refs(packet.descriptors.begin(), packet.descriptors.end());
    const transport::SendResult result =
        transport::SendPacket(lane, {packet.header, packet.metadata, packet.message, refs});
    if (result.would_block) return false;
    if (!result.status.ok() && !absl::IsUnavailable(result.status)) {
      refused.push_back({packet.header.call, result.status});
    }
    bytes_ -= packet.size();
    packets_.pop_front();
  }
  return true;
}

void LaneOutbox::Clear() {
  packets_.clear();
  bytes_ = 0;
}

}  // namespace capbroker::serving
