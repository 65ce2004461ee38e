// Receiving at the client end of a lane: asleep, or looking for the packet before, where that pays
// (transport/polling.h).
//
// Lives in: whoever holds a channel. Of one thread at a time: the one that leads.
#ifndef TRANSPORT_LANE_READER_H_
#define TRANSPORT_LANE_READER_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "transport/lane_socket.h"
#include "transport/polling.h"

namespace capbroker::transport {

class LaneReader {
 public:
  struct Wait {
    Blocking blocking = Blocking::kDontWait;
    int64_t deadline_ns = 0;  // CLOCK_MONOTONIC; 0: none
    bool may_look = false;    // nobody else of this process has a use for the CPU
  };
  // The next packet, whose bytes are valid until this thread receives another one, of whatever
  // lane. Nothing, and errors: as ReceivePacket(), or the deadline has passed.
  absl::StatusOr<std::optional<ReceivedPacket>> Receive(FdRef lane, Wait wait);

 private:
  Polling polling_;
  bool service_awake_ = false;
};

}  // namespace capbroker::transport

#endif  // TRANSPORT_LANE_READER_H_
