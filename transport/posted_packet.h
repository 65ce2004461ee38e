// Packets in memory that both ends of lanes have mapped (transport/mailbox.h,
// transport/shared_mailbox.h), in the place of being sent.
//
// Runs in both ends. May be used in a compromised process.
#ifndef TRANSPORT_POSTED_PACKET_H_
#define TRANSPORT_POSTED_PACKET_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "transport/lane_socket.h"
#include "transport/packet.h"

namespace capbroker::transport {

// Where one is. A part of the memory's layout.
template <size_t kCapacity>
struct PostedPacket {
  uint32_t size;
  char bytes[kCapacity];

  static constexpr bool HasRoom(size_t metadata, size_t message) {
    return metadata <= kCapacity && message <= kCapacity &&
           sizeof(PacketHeader) + metadata + message <= kCapacity;
  }
  // It carries no descriptors, and its message.
  static bool Fits(const OutgoingPacket& packet) {
    return packet.descriptors.empty() && !IsInMemory(packet.header.flags) &&
           HasRoom(packet.metadata.size(), packet.message.size());
  }

  // One that fits.
  void Write(const OutgoingPacket& packet) {
    size = static_cast<uint32_t>(WritePacket(packet, bytes));
  }
  // TRUST(worker): the size is the peer's, and can change. Copies to `to`, kCapacity bytes; gives
  // how many are the packet's. INVARIANT(read-once)
  size_t Copy(char* to) const {
    const uint32_t claimed = *static_cast<const volatile uint32_t*>(&size);
    const size_t copied = std::min<size_t>(claimed, kCapacity);
    std::memcpy(to, bytes, copied);
    return copied;
  }
};

// TRUST(worker): a packet that was copied from there. INVALID_ARGUMENT: it is none, or neither a
// request to a service nor an answer to a client, or its message is elsewhere: no honest peer posts
// that.
absl::StatusOr<PacketView> ParsePosted(absl::string_view bytes, PacketDirection direction);

}  // namespace capbroker::transport

#endif  // TRANSPORT_POSTED_PACKET_H_
