// The client end of a lane: unary calls by many threads, without gRPC's core.
//
// A calling thread sends its own request. Of the threads that wait, one is the
// leader and receives for all; when its own answer has come it hands over to a
// follower. A call so costs two system calls and no thread switch of its own. Calls that follow
// each other at once are posted to the lane's mailbox (transport/posting.h). The answers to
// callback calls are received by one more thread, and those of the mailbox by another one, which
// exist only once there was such a call; or all of them by a loop that the owner runs
// (transport/callback_loop.h).
//
// Lives in: whoever holds a channel. Thread-safe. May be used in a compromised
// process.
#ifndef TRANSPORT_LANE_CLIENT_H_
#define TRANSPORT_LANE_CLIENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "transport/callback_loop.h"
#include "transport/calls_in_flight.h"
#include "transport/packet.h"
#include "transport/posting.h"

namespace capbroker::transport {

struct LaneRequest {
  uint64_t method = 0;
  int64_t deadline_ns = 0;     // CLOCK_MONOTONIC; 0: none
  absl::string_view metadata;  // a serialised capbroker.v1.RequestMetadata
  size_t message_size = 0;
  // Writes the message: exactly `message_size` bytes.
  absl::FunctionRef<bool(char*)> serialize;
  absl::Span<const FdRef> descriptors;
  bool brings_descriptors = false;  // the answer does
};

// Callback calls of a lane in a loop after which it asks for the loop's mailbox: fewer are not
// worth one.
inline constexpr int kJoinAfter = 16;

class LaneCore;

class LaneClient {
 public:
  // Takes the client end of a lane. A larger answer than `max_message_size` fails
  // its call with RESOURCE_EXHAUSTED. `post_within_ns`: see transport/posting.h.
  explicit LaneClient(UniqueFd lane, size_t max_message_size = kMaxMessageSize,
                      int64_t post_within_ns = kPostWithinNs);
  // Ends the calls that are left, as Close() does.
  ~LaneClient();
  LaneClient(const LaneClient&) = delete;
  LaneClient& operator=(const LaneClient&) = delete;

  // Calls and waits. `cancelled` is asked about every kCancelTickMs while
  // waiting. `consume` is called once, on this thread, without a lock held.
  // INVARIANT(no-hang): an answer, the deadline, cancellation or the peer's end.
  void Call(const LaneRequest& request, absl::FunctionRef<bool()> cancelled,
            absl::FunctionRef<void(Reply&)> consume);

  // Calls and returns; `done` runs on a callback thread of the client, in its loop, or in
  // Pump(). It must not block; it may call.
  void StartCall(const LaneRequest& request, std::function<bool()> cancelled,
                 std::function<void(Reply&)> done);

  // Ends every call with UNAVAILABLE, now and later.
  void Close();

  // Callbacks run in `loop`, and no callback thread is made; its owner runs it. Before the first
  // StartCall(), and once: FAILED_PRECONDITION otherwise.
  absl::Status CompleteIn(std::shared_ptr<CallbackLoop> loop);

  // For a single-threaded owner with an event loop (the broker): no callback
  // thread is made; Pump() receives a bounded number of packets, completes calls and
  // ends those that are late. True: there may be more. UNAVAILABLE: the peer is gone.
  // Before the first StartCall().
  void UseExternalPump();
  absl::StatusOr<bool> Pump();

  FdRef fd() const;
  // How many calls have gone by the lane's mailbox, or by the one that it shares.
  uint64_t posted_calls() const;

  // Gives the lane's descriptor up, with no call in flight: FAILED_PRECONDITION
  // otherwise. The client is closed afterwards.
  absl::StatusOr<UniqueFd> Release();

 private:
  const std::shared_ptr<LaneCore> core_;
};

}  // namespace capbroker::transport

#endif  // TRANSPORT_LANE_CLIENT_H_
