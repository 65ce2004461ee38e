#include "transport/lane_socket.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "base/errno_status.h"

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83  // include/uapi/asm-generic/socket.h, Linux 6.16
#endif

namespace capbroker::transport {
namespace {

// SCM_RIGHTS can admit one descriptor more than asked for, by padding.
constexpr size_t kControlSize = CMSG_SPACE(sizeof(int) * (kMaxDescriptors + 1));

// Takes ownership of every descriptor in `message`, whatever comes of it.
std::vector<UniqueFd> TakeDescriptors(msghdr& message) {
  std::vector<UniqueFd> taken;
  if (message.msg_controllen == 0) return taken;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      taken.emplace_back(fd);
    }
  }
  return taken;
}

// One copy is cheaper for the kernel than three parts.
constexpr size_t kCopied = 2048;

ssize_t SendCopy(FdRef lane, const OutgoingPacket& packet) {
  char bytes[sizeof(PacketHeader) + kCopied];
  return send(lane.get(), bytes, WritePacket(packet, bytes), MSG_NOSIGNAL | MSG_DONTWAIT);
}

ssize_t SendParts(FdRef lane, const OutgoingPacket& packet) {
  const PacketHeader header = CompleteHeader(packet);
  iovec parts[] = {
      {const_cast<PacketHeader*>(&header), sizeof header},
      {const_cast<char*>(packet.metadata.data()), packet.metadata.size()},
      {const_cast<char*>(packet.message.data()), packet.message.size()},
  };
  msghdr message = {};
  message.msg_iov = parts;
  message.msg_iovlen = 3;
  alignas(cmsghdr) char control[kControlSize];
  if (!packet.descriptors.empty()) {
    const size_t bytes = packet.descriptors.size() * sizeof(int);
    std::memset(control, 0, CMSG_SPACE(bytes));
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(bytes);
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(bytes);
    for (size_t i = 0; i < packet.descriptors.size(); ++i) {
      const int fd = packet.descriptors[i].get();
      std::memcpy(CMSG_DATA(c) + i * sizeof fd, &fd, sizeof fd);
    }
  }
  return sendmsg(lane.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

// What recvmsg(2) and recv(2) tell alike.
struct Received {
  ssize_t size;
  bool truncated;
  bool lost_descriptors = false;  // this process had no room for them
};

Received ReceiveBytes(FdRef lane, ReceiveBuffer& buffer, int flags) {
  const ssize_t size = recv(lane.get(), buffer.data(), ReceiveBuffer::size(), flags | MSG_TRUNC);
  return {size, size > static_cast<ssize_t>(ReceiveBuffer::size())};
}

Received ReceiveWithDescriptors(FdRef lane, ReceiveBuffer& buffer, int flags,
                                std::vector<UniqueFd>& descriptors) {
  iovec part = {buffer.data(), ReceiveBuffer::size()};
  alignas(cmsghdr) char control[kControlSize];
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t size = recvmsg(lane.get(), &message, flags | MSG_CMSG_CLOEXEC);
  if (size >= 0) descriptors = TakeDescriptors(message);
  return {size, size >= 0 && (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0,
          size >= 0 && (message.msg_flags & MSG_CTRUNC) != 0};
}

// A packet that offers what can be done without.
bool OffersMailbox(const ReceiveBuffer& buffer, const Received& received,
                   PacketDirection direction) {
  PacketHeader header;
  if (direction != PacketDirection::kToClient ||
      received.size < static_cast<ssize_t>(sizeof header)) {
    return false;
  }
  std::memcpy(&header, buffer.data(), sizeof header);
  return header.magic == kPacketMagic &&
         (header.type == PacketType::kMailbox || header.type == PacketType::kShared);
}

}  // namespace

bool PeerClosed(FdRef socket) {
  pollfd p = {socket.get(), POLLRDHUP, 0};
  return poll(&p, 1, 0) > 0;
}

absl::StatusOr<LanePair> MakeLane(ClientDescriptors from_client) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return ErrnoToStatus(errno, "make lane");
  }
  LanePair lane{UniqueFd(ends[0]), UniqueFd(ends[1])};
  const int off = 0;
  if (from_client == ClientDescriptors::kRefused &&
      setsockopt(ends[1], SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof off) != 0 &&
      errno != ENOPROTOOPT) {
    return ErrnoToStatus(errno, "make lane");
  }
  return lane;
}

absl::Status SetCancelTick(FdRef lane) {
  const timeval tick = {0, kCancelTickMs * 1000};
  if (setsockopt(lane.get(), SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof tick) != 0) {
    return ErrnoToStatus(errno, "set receive timeout");
  }
  return absl::OkStatus();
}

PacketHeader CompleteHeader(const OutgoingPacket& packet) {
  PacketHeader header = packet.header;
  header.magic = kPacketMagic;
  header.metadata_size = static_cast<uint32_t>(packet.metadata.size());
  if (!IsInMemory(header.flags) && header.type != PacketType::kBufferRequest) {
    header.message_size = static_cast<uint32_t>(packet.message.size());
  }
  header.descriptor_count = static_cast<uint16_t>(packet.descriptors.size());
  return header;
}

size_t WritePacket(const OutgoingPacket& packet, char* to) {
  const PacketHeader header = CompleteHeader(packet);
  char* end = to;
  const auto append = [&end](const void* from, size_t size) {
    if (size != 0) std::memcpy(end, from, size);
    end += size;
  };
  append(&header, sizeof header);
  append(packet.metadata.data(), packet.metadata.size());
  append(packet.message.data(), packet.message.size());
  return static_cast<size_t>(end - to);
}

SendResult SendPacket(FdRef lane, const OutgoingPacket& packet) {
  const bool copied =
      packet.descriptors.empty() && packet.metadata.size() + packet.message.size() <= kCopied;
  while ((copied ? SendCopy(lane, packet) : SendParts(lane, packet)) < 0) {
    if (errno == EINTR) continue;
    const bool would_block = errno == EAGAIN || errno == ENOBUFS;
    return {ErrnoToStatus(errno, "send packet"), would_block};
  }
  return {};
}

ReceiveBuffer::ReceiveBuffer() {
  void* memory = mmap(nullptr, size(), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  data_ = static_cast<char*>(memory);
}

ReceiveBuffer::~ReceiveBuffer() { munmap(data_, size()); }

ClientDescriptors DescriptorsOn(FdRef lane) {
  int passed = 1;
  socklen_t size = sizeof passed;
  if (getsockopt(lane.get(), SOL_SOCKET, SO_PASSRIGHTS, &passed, &size) != 0) passed = 1;
  return passed == 0 ? ClientDescriptors::kRefused : ClientDescriptors::kAccepted;
}

absl::StatusOr<std::optional<ReceivedPacket>> ReceivePacket(FdRef lane, ReceiveBuffer& buffer,
                                                            PacketDirection direction,
                                                            Blocking blocking,
                                                            ClientDescriptors descriptors) {
  const int flags = blocking == Blocking::kDontWait ? MSG_DONTWAIT : 0;
  ReceivedPacket packet;
  Received received;
  do {
    received = descriptors == ClientDescriptors::kRefused
                   ? ReceiveBytes(lane, buffer, flags)
                   : ReceiveWithDescriptors(lane, buffer, flags, packet.descriptors);
  } while (received.size < 0 && errno == EINTR);
  if (received.size < 0) {
    if (errno == EAGAIN) return std::nullopt;
    return absl::UnavailableError("the peer closed the channel");
  }
  if (received.lost_descriptors && OffersMailbox(buffer, received, direction)) return std::nullopt;
  // INVARIANT(descriptor-belongs-to-call): a truncated packet delivers none.
  if (received.truncated) return absl::InvalidArgumentError("malformed packet: truncated");
  if (received.size == 0) {
    // The peer's end, or a packet without bytes.
    if (PeerClosed(lane)) return absl::UnavailableError("the peer closed the channel");
    return absl::InvalidArgumentError("malformed packet: empty");
  }
  absl::StatusOr<PacketView> view =
      ParsePacket(absl::string_view(buffer.data(), static_cast<size_t>(received.size)),
                  packet.descriptors.size(), direction);
  if (!view.ok()) return view.status();
  packet.view = *view;
  return packet;
}

}  // namespace capbroker::transport
