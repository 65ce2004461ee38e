#include "transport/posted_packet.h"

#include "absl/status/status.h"

namespace capbroker::transport {

absl::StatusOr<PacketView> ParsePosted(absl::string_view bytes, PacketDirection direction) {
  absl::StatusOr<PacketView> view = ParsePacket(bytes, 0, direction);
  if (!view.ok()) return view;
  const PacketType posted =
      direction == PacketDirection::kToService ? PacketType::kRequest : PacketType::kResponse;
  if (view->header.type != posted || IsInMemory(view->header.flags)) {
    return absl::InvalidArgumentError("malformed packet: not for a mailbox");
  }
  return view;
}

}  // namespace capbroker::transport
