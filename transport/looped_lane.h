// What a loop of callbacks (transport/callback_loop.h) does with a lane of its own.
#ifndef TRANSPORT_LOOPED_LANE_H_
#define TRANSPORT_LOOPED_LANE_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace capbroker::transport {

// Called by the loop's thread, without a lock held.
class LoopedLane {
 public:
  virtual ~LoopedLane() = default;
  // The lane's socket may have packets, or calls have ended. Runs callbacks. True: there may be
  // more.
  virtual bool OnReady() = 0;
  // Some milliseconds have passed with calls in flight.
  virtual void OnTick() = 0;
  // TRUST(service): an answer to `call`, which was put into the shared mailbox.
  virtual void OnAnswer(uint64_t call, absl::string_view packet) = 0;
};

}  // namespace capbroker::transport

#endif  // TRANSPORT_LOOPED_LANE_H_
