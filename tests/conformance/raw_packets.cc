#include "tests/conformance/raw_packets.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace capbroker::testing {

PacketHeader HeaderOf(PacketType type) {
  PacketHeader header = {};
  header.magic = transport::kPacketMagic;
  header.type = type;
  return header;
}

PacketHeader Request(const char* method, uint64_t call, size_t message_size) {
  PacketHeader header = HeaderOf(PacketType::kRequest);
  header.call = call;
  header.method = transport::MethodId(method);
  header.message_size = static_cast<uint32_t>(message_size);
  return header;
}

std::string Packet(const PacketHeader& header, const std::string& body) {
  return std::string(reinterpret_cast<const char*>(&header), sizeof header) + body;
}

ssize_t SendBytes(FdRef lane, const std::string& bytes, const std::vector<int>& descriptors,
                  int flags) {
  iovec part = {const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  std::vector<char> control(CMSG_SPACE(sizeof(int) * std::max<size_t>(descriptors.size(), 1)));
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * descriptors.size());
    std::memcpy(CMSG_DATA(c), descriptors.data(), sizeof(int) * descriptors.size());
  }
  return sendmsg(lane.get(), &message, MSG_NOSIGNAL | flags);
}

}  // namespace capbroker::testing
