#include "base/descriptor_packet.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace capbroker {

bool SendDescriptorPacket(FdRef socket, const void* bytes, size_t size,
                          std::initializer_list<FdRef> descriptors) {
  int numbers[kMostPacketDescriptors];
  size_t count = 0;
  for (const FdRef descriptor : descriptors) {
    if (!descriptor.valid()) continue;
    if (count == kMostPacketDescriptors) {
      errno = EINVAL;
      return false;
    }
    numbers[count++] = descriptor.get();
  }
  iovec data = {.iov_base = const_cast<void*>(bytes), .iov_len = size};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof numbers)] = {};
  msghdr packet = {};
  packet.msg_iov = &data;
  packet.msg_iovlen = 1;
  if (count > 0) {
    packet.msg_control = control;
    packet.msg_controllen = CMSG_SPACE(count * sizeof(int));
    cmsghdr* const header = CMSG_FIRSTHDR(&packet);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    std::memcpy(CMSG_DATA(header), numbers, count * sizeof(int));
  }
  ssize_t sent;
  do {
    sent = sendmsg(socket.get(), &packet, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(size);
}

ssize_t ReceiveDescriptorPacket(FdRef socket, void* bytes, size_t size,
                                PacketDescriptors& descriptors, int flags) {
  iovec data = {.iov_base = bytes, .iov_len = size};
  alignas(cmsghdr) char control[CMSG_SPACE(kMostPacketDescriptors * sizeof(int))];
  msghdr packet = {};
  packet.msg_iov = &data;
  packet.msg_iovlen = 1;
  packet.msg_control = control;
  packet.msg_controllen = sizeof control;
  ssize_t got;
  do {
    got = recvmsg(socket.get(), &packet, flags | MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return got;
  size_t count = 0;
  const cmsghdr* const header = CMSG_FIRSTHDR(&packet);
  if (header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
    for (size_t at = 0; CMSG_LEN(at + sizeof(int)) <= header->cmsg_len; at += sizeof(int)) {
      int number;
      std::memcpy(&number, CMSG_DATA(header) + at, sizeof number);
      descriptors[count++].Reset(number);  // the kernel gives no more than there is room for
    }
  }
  if ((packet.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0) return got;
  for (UniqueFd& descriptor : descriptors) descriptor.Reset();
  errno = EPROTO;
  return -1;
}

}  // namespace capbroker
