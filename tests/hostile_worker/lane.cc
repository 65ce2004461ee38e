#include "tests/hostile_worker/lane.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "transport/channel.h"

namespace capbroker::hostile {
namespace {

using transport::PacketHeader;
using transport::PacketType;

constexpr int kPatience = 10000;  // milliseconds

bool Readable(int fd, int milliseconds) {
  pollfd p = {fd, POLLIN, 0};
  return poll(&p, 1, milliseconds) > 0;
}

}  // namespace

std::string SayMessage(const std::string& word) {
  return std::string("\x0a") + static_cast<char>(word.size()) + word;
}

std::string SendRaw(int lane, const std::string& bytes, const std::vector<int>& descriptors) {
  return Result(testing::SendBytes(FdRef::FromRaw(lane), bytes, descriptors));
}

std::string NextAnswer(int lane) {
  const absl::Time deadline = absl::Now() + absl::Milliseconds(kPatience);
  std::string packet(transport::kMaxPacketSize, '\0');
  while (absl::Now() < deadline) {
    if (!Readable(lane, kPatience)) break;
    const ssize_t got = recv(lane, packet.data(), packet.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) continue;
    if (got < static_cast<ssize_t>(sizeof(PacketHeader))) return kChannelEnds;
    PacketHeader header;
    std::memcpy(&header, packet.data(), sizeof header);
    if (header.type == PacketType::kBuffer) return "OK";
    if (header.type != PacketType::kResponse) continue;
    return absl::StatusCodeToString(static_cast<absl::StatusCode>(header.status));
  }
  return "no answer";
}

std::string Exchange(int lane, const std::string& bytes, const std::vector<int>& descriptors) {
  const std::string sent = SendRaw(lane, bytes, descriptors);
  return sent == kSucceeded ? NextAnswer(lane) : sent;
}

int OpenWire(int lane) {
  Channel channel{UniqueFd(lane)};
  absl::StatusOr<UniqueFd> wire = channel.OpenWire();
  // The channel stays open: its wire ends with it.
  absl::StatusOr<UniqueFd> released = channel.Release();
  if (released.ok()) (void)(*std::move(released)).Release();
  return wire.ok() ? (*std::move(wire)).Release() : -1;
}

std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, const std::string& payload) {
  std::string frame;
  const size_t size = payload.size();
  for (const int shift : {16, 8, 0}) frame += static_cast<char>(size >> shift);
  frame += static_cast<char>(type);
  frame += static_cast<char>(flags);
  for (const int shift : {24, 16, 8, 0}) frame += static_cast<char>(stream >> shift);
  return frame + payload;
}

std::string Preface() { return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(4, 0, 0, ""); }

std::string BeginCall(uint32_t stream) {
  const auto literal = [](absl::string_view name, absl::string_view value) {
    std::string field(1, '\0');
    for (const absl::string_view text : {name, value}) {
      field += static_cast<char>(text.size());
      field.append(text.data(), text.size());
    }
    return field;
  };
  const std::string headers = literal(":method", "POST") + literal(":scheme", "http") +
                              literal(":path", kSay) + literal(":authority", "x") +
                              literal("content-type", "application/grpc") +
                              literal("te", "trailers");
  constexpr uint8_t kHeaders = 1, kEndHeaders = 4;
  return Frame(kHeaders, kEndHeaders, stream, headers);
}

std::string Flood(int wire, int count, std::string (*next)(int)) {
  constexpr char kWireEnds[] = "the wire ends";
  char back[64 << 10];
  const absl::Time deadline = absl::Now() + absl::Milliseconds(700);
  for (int i = 0; i < count; ++i) {
    const std::string bytes = next(i);
    for (size_t sent = 0; sent < bytes.size();) {
      if (absl::Now() > deadline) return "is held";
      pollfd p = {wire, POLLIN | POLLOUT, 0};
      poll(&p, 1, 1000);
      if ((p.revents & POLLIN) != 0 && recv(wire, back, sizeof back, MSG_DONTWAIT) == 0) {
        return kWireEnds;
      }
      const ssize_t got =
          send(wire, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (got < 0 && errno != EAGAIN) return kWireEnds;
      if (got > 0) sent += static_cast<size_t>(got);
    }
  }
  // What it has not noticed yet.
  while (absl::Now() < deadline && Readable(wire, 300)) {
    if (recv(wire, back, sizeof back, MSG_DONTWAIT) <= 0) return kWireEnds;
  }
  return "goes on";
}

}  // namespace capbroker::hostile
