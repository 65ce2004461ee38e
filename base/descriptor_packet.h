// A packet of plain bytes between two processes of the same program, with a descriptor or two
// beside them. For what a lane (transport/) is too much for: the moments of a start, where nothing
// may be allocated and no protobuf is at hand.
//
// Runs in every process of the broker's tree. Neither function allocates.
#ifndef BASE_DESCRIPTOR_PACKET_H_
#define BASE_DESCRIPTOR_PACKET_H_

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <initializer_list>

#include "base/unique_fd.h"

namespace capbroker {

inline constexpr size_t kMostPacketDescriptors = 2;
// In the order in which they were sent, and from the first place on.
using PacketDescriptors = std::array<UniqueFd, kMostPacketDescriptors>;

// Over a seqpacket or stream socket. What is not valid is left out; at most
// kMostPacketDescriptors. False, with errno: nothing was sent.
bool SendDescriptorPacket(FdRef socket, const void* bytes, size_t size,
                          std::initializer_list<FdRef> descriptors);

// How many bytes came; 0 at the end, -1 with errno. `flags` as recvmsg(2) has them. Descriptors are
// close-on-exec. A packet that is longer than `size`, or has more descriptors, is none: EPROTO, and
// what came with it is closed.
ssize_t ReceiveDescriptorPacket(FdRef socket, void* bytes, size_t size,
                                PacketDescriptors& descriptors, int flags = 0);

}  // namespace capbroker

#endif  // BASE_DESCRIPTOR_PACKET_H_
