// The packets of a lane.
//
// A lane is an AF_UNIX SOCK_SEQPACKET socketpair: the kernel keeps packet
// boundaries, so a packet is a fixed header, the call's metadata, the protobuf
// message, and up to kMaxDescriptors descriptors beside them (SCM_RIGHTS). What
// no honest peer can send ends the channel; nothing here is ever repaired.
//
// Both ends run on one machine and the fields are in its byte order.
//
// Runs in every process. May be used in a compromised process.
#ifndef TRANSPORT_PACKET_H_
#define TRANSPORT_PACKET_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace capbroker::transport {

enum class PacketType : uint8_t {
  // Client to service.
  kRequest = 1,
  kCancel = 2,         // the caller no longer waits for `call`
  kBufferRequest = 3,  // asks for a memfd of `message_size` bytes for a large request
  // Asks that the lane's calls may come by a mailbox of several lanes (transport/shared_mailbox.h):
  // by one of those whose keys are the message, or by a further one.
  kJoin = 4,
  kLeave = 5,  // they no longer do
  // Service to client.
  kResponse = 16,
  kBuffer = 17,  // answers kBufferRequest; carries the memfd, with kFlagKept one to keep
  // A successor serves now: ends every call in flight with UNAVAILABLE, but those
  // whose ids are the message, because it found them unread, and those that were begun
  // after it had begun itself, at `deadline_ns`.
  kEpoch = 18,
  // Carries the lane's mailbox (transport/mailbox.h), in place of an earlier one.
  kMailbox = 19,
  // Answers kJoin: the mailbox's key is the message, or nothing if there is to be none; `method`
  // is the lane's number there. Carries it, if it is not one of those that were named.
  kShared = 20,
};

// How a holder shows that a mailbox of several lanes is its own: random bytes, so many. A kJoin
// names as many keys, at most.
inline constexpr size_t kJoinKeySize = 16;
inline constexpr size_t kMaxJoinKeys = 16;

// The message is not in the packet: a response's is in the memfd that is the
// packet's last descriptor, a request's in the memfd that the service sent.
inline constexpr uint8_t kFlagBulk = 1;
// Of a response: the service looks for the next request for some microseconds, on a CPU of its own
// (transport/polling.h).
inline constexpr uint8_t kFlagAwake = 2;
// The memory that both ends of the lane keep for large messages (transport/message_memory.h) is at
// one call's disposal at a time. Of a request: at this call's; `memory` says which, or that the
// client has none, and the service may use it, or bring other memory in its place, until it
// answers. Of a response: it is given back; with kFlagBulk other memory is brought. An answer
// without the flag, or none at all, leaves the client without memory.
inline constexpr uint8_t kFlagKept = 4;
// With kFlagKept: the message is there, and not in the packet.
inline constexpr uint8_t kFlagInKept = 8;

// Of a request: it would be posted, if the lane's mailbox were open (transport/mailbox.h); and with
// that: the client has no mailbox.
inline constexpr uint8_t kFlagWouldPost = 16;
inline constexpr uint8_t kFlagNoMailbox = 32;

struct PacketHeader {
  uint32_t magic;
  PacketType type;
  uint8_t flags;
  uint16_t descriptor_count;  // also the memfd's
  uint64_t call;              // chosen by the client, unique among its calls in flight
  uint64_t method;            // kRequest: MethodId() of the full name; kShared: see there
  int64_t deadline_ns;        // kRequest, kEpoch: CLOCK_MONOTONIC; 0: none
  uint32_t metadata_size;     // bytes after the header
  uint32_t message_size;      // bytes after those, or in memory with kFlagBulk or kFlagInKept
  int32_t status;             // kResponse: a gRPC status code
  uint32_t memory;            // with kFlagKept: the number of what is kept; 0: none
};
static_assert(sizeof(PacketHeader) == 48);

inline constexpr uint32_t kPacketMagic = 0x316c6263;  // "cbl1"

// Bytes of metadata in a packet: enough for gRPC's default of 8 KiB.
inline constexpr size_t kMaxMetadataSize = 16u << 10;
// A larger message travels in a memfd. Below the socket's default send buffer.
inline constexpr size_t kMaxInlineMessage = 64u << 10;
inline constexpr size_t kMaxPacketSize =
    sizeof(PacketHeader) + kMaxMetadataSize + kMaxInlineMessage;
// The largest bound that a service may set for its messages.
inline constexpr size_t kMaxMessageSize = 64u << 20;
inline constexpr size_t kDefaultMaxMessageSize = 4u << 20;
// Descriptors of one packet, the memfd included.
inline constexpr size_t kMaxDescriptors = 33;

// FNV-1a of a method's full name, "/package.Service/Method". Stable between
// programs built at different times. http://www.isthe.com/chongo/tech/comp/fnv/
constexpr uint64_t MethodId(absl::string_view full_name) {
  uint64_t hash = 0xcbf29ce484222325;
  for (char c : full_name) {
    hash ^= static_cast<uint8_t>(c);
    hash *= 0x100000001b3;
  }
  return hash;
}

// CLOCK_MONOTONIC now, in nanoseconds: the clock of deadlines on a lane.
int64_t MonotonicNowNs();

// A packet as it was received; the views point into the receiver's buffer.
struct PacketView {
  PacketHeader header = {};
  absl::string_view metadata;
  absl::string_view message;  // empty if it is in memory
};

// Whether the message of a packet with these flags is in memory, and not in the packet.
constexpr bool IsInMemory(uint8_t flags) { return (flags & (kFlagBulk | kFlagInKept)) != 0; }

// Which end parses: each accepts only what the other may send.
enum class PacketDirection { kToService, kToClient };

// TRUST(worker): checks every field of a packet of `data.size()` bytes that
// carried `descriptors` descriptors. INVALID_ARGUMENT: no honest peer sent it.
absl::StatusOr<PacketView> ParsePacket(absl::string_view data, size_t descriptors,
                                       PacketDirection direction);

}  // namespace capbroker::transport

#endif  // TRANSPORT_PACKET_H_
