// Packets of one lane that had no room in its socket, in order.
//
// Lives in: service processes, the broker. Not thread-safe: a lane holds its mutex.
#ifndef SERVING_LANE_LANE_OUTBOX_H_
#define SERVING_LANE_LANE_OUTBOX_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "transport/packet.h"

namespace capbroker::serving {

class LaneOutbox {
 public:
  bool empty() const { return packets_.empty(); }
  // Of all packets: a client that asks and does not read is cut off by it.
  size_t bytes() const { return bytes_; }

  void Add(const transport::PacketHeader& header, absl::string_view metadata,
           absl::string_view message, std::vector<UniqueFd> descriptors);

  // An answer that the kernel does not send, ever.
  struct Refused {
    uint64_t call;
    absl::Status why;
  };
  // Sends on `lane` what has room now. True: all of it.
  bool Send(FdRef lane, std::vector<Refused>& refused);

  void Clear();

 private:
  struct Packet {
    transport::PacketHeader header;
    std::string metadata;
    std::string message;
    std::vector<UniqueFd> descriptors;
    size_t size() const { return sizeof header + metadata.size() + message.size(); }
  };

  std::deque<Packet> packets_;
  size_t bytes_ = 0;
};

}  // namespace capbroker::serving

#endif  // SERVING_LANE_LANE_OUTBOX_H_
