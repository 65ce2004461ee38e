// Sending and receiving one packet, with its descriptors, on a lane.
//
// Runs in every process. Functions may be called by several threads on one lane:
// the kernel sends and receives a packet as a whole.
#ifndef TRANSPORT_LANE_SOCKET_H_
#define TRANSPORT_LANE_SOCKET_H_

#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "transport/packet.h"

namespace capbroker::transport {

// Both ends of a new lane, close-on-exec and blocking.
struct LanePair {
  UniqueFd client;
  UniqueFd service;
};

// Whether the service end takes descriptors from the client.
enum class ClientDescriptors { kRefused, kAccepted };

// INVARIANT(no-descriptor-undeclared): with kRefused the kernel itself refuses
// (SO_PASSRIGHTS, Linux 6.16); on older kernels ReceivePacket() closes them.
absl::StatusOr<LanePair> MakeLane(ClientDescriptors from_client);

// Whether the other end of `socket` is closed.
bool PeerClosed(FdRef socket);

// How long a blocked receive on a client end lasts at most before it looks
// whether its call was cancelled: ClientContext::TryCancel() on a call without
// gRPC's core sets a flag and wakes nobody.
inline constexpr int kCancelTickMs = 20;

// Makes blocking receives on `lane` end after kCancelTickMs.
absl::Status SetCancelTick(FdRef lane);

// What a packet is made of, by reference.
struct OutgoingPacket {
  PacketHeader header = {};  // magic and sizes are filled in
  absl::string_view metadata;
  absl::string_view message;  // empty if it is in memory; then header.message_size counts
  absl::Span<const FdRef> descriptors;
};

// Its header, filled in.
PacketHeader CompleteHeader(const OutgoingPacket& packet);

// Its bytes, one part after another, to `to`, which has room for them. Gives how many they are.
size_t WritePacket(const OutgoingPacket& packet, char* to);

// Sends `packet` without blocking. UNAVAILABLE with `would_block`: no room now;
// otherwise the peer is gone.
struct SendResult {
  absl::Status status;
  bool would_block = false;
};
SendResult SendPacket(FdRef lane, const OutgoingPacket& packet);

// Memory for received packets. Its pages are touched only as far as packets
// reach, so that an idle channel costs no memory.
class ReceiveBuffer {
 public:
  ReceiveBuffer();
  ~ReceiveBuffer();
  ReceiveBuffer(const ReceiveBuffer&) = delete;
  ReceiveBuffer& operator=(const ReceiveBuffer&) = delete;

  char* data() { return data_; }
  const char* data() const { return data_; }
  static constexpr size_t size() { return kMaxPacketSize + 1; }

 private:
  char* data_;
};

// One packet, its bytes in the buffer that was given to ReceivePacket().
struct ReceivedPacket {
  PacketView view;
  std::vector<UniqueFd> descriptors;
};

enum class Blocking { kWait, kDontWait };

// Whether packets on a lane end can have descriptors beside them. Refused: by the kernel,
// as MakeLane() asked; receiving is then cheaper.
ClientDescriptors DescriptorsOn(FdRef lane);

// Receives one packet. Nothing: with kDontWait, or after kCancelTickMs, there was
// none, or one that offered a mailbox to a process without room for its descriptor. UNAVAILABLE:
// the peer closed. INVALID_ARGUMENT: what no honest peer sends, its descriptors closed.
// INVARIANT(hostile-bytes-end-the-channel): after any error the caller closes the lane.
absl::StatusOr<std::optional<ReceivedPacket>> ReceivePacket(
    FdRef lane, ReceiveBuffer& buffer, PacketDirection direction, Blocking blocking,
    ClientDescriptors descriptors = ClientDescriptors::kAccepted);

}  // namespace capbroker::transport

#endif  // TRANSPORT_LANE_SOCKET_H_
