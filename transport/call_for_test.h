// A call of a lane's client and what came of it, in tests.
#ifndef TRANSPORT_CALL_FOR_TEST_H_
#define TRANSPORT_CALL_FOR_TEST_H_

#include <cstdint>
#include <cstring>
#include <string>

#include "absl/strings/string_view.h"
#include "transport/lane_client.h"
#include "transport/packet.h"

namespace capbroker::transport {

// gRPC's status codes, as a reply has them.
inline constexpr int kOk = 0;
inline constexpr int kCancelled = 1;
inline constexpr int kDeadlineExceeded = 4;
inline constexpr int kUnavailable = 14;

inline PacketHeader Header(PacketType type, uint64_t call) {
  PacketHeader header = {};
  header.type = type;
  header.call = call;
  return header;
}

// A request whose message is these bytes, which outlive it.
class TestRequest {
 public:
  explicit TestRequest(absl::string_view message, int64_t deadline_ns = 0)
      : message_(message), deadline_ns_(deadline_ns) {}

  // Refers to this.
  LaneRequest Build() const {
    return {.method = 1,
            .deadline_ns = deadline_ns_,
            .metadata = {},
            .message_size = message_.size(),
            .serialize = *this,
            .descriptors = {}};
  }
  bool operator()(char* bytes) const {
    if (!message_.empty()) std::memcpy(bytes, message_.data(), message_.size());
    return true;
  }

 private:
  const absl::string_view message_;
  const int64_t deadline_ns_;
};

struct Answer {
  Answer() = default;
  explicit Answer(const Reply& reply) : status(reply.status) { reply.message.AppendTo(message); }

  int32_t status = -1;
  std::string message;
};

}  // namespace capbroker::transport

#endif  // TRANSPORT_CALL_FOR_TEST_H_
