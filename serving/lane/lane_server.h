// Serves lanes in an event loop: receives requests, checks them, calls the
// handlers, sends the answers.
//
// Every packet on a served lane comes from somebody who is not trusted. What
// bounds it: calls in flight and their bytes per channel, threads per channel
// and in all, and an outbox per channel after which the channel is closed. A slow
// handler delays no other channel and no other call of its own channel, as long
// as threads are left for that channel; a handler that declares itself quick
// (Dispatch::quick) or that is written against gRPC's callback API needs none.
//
// Lives in: the broker (one thread, callback handlers only), service processes.
#ifndef SERVING_LANE_LANE_SERVER_H_
#define SERVING_LANE_LANE_SERVER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "serving/channel/channel_state.h"
#include "serving/events/event_loop.h"
#include "serving/events/loop_threads.h"
#include "serving/lane/kept_memory.h"
#include "serving/lane/lane_group.h"
#include "serving/lane/method_table.h"

namespace capbroker::serving {

struct LaneServerOptions {
  // Threads that handlers may occupy, beyond one for each channel. 1 with
  // `grow` false: only the thread that runs the loop, for callback handlers.
  int max_threads = 8;
  bool grow = true;
  // Per channel.
  int max_calls_in_flight = 64;
  int max_running = 8;
  size_t max_bytes_in_flight = 16u << 20;
  size_t max_outbox_bytes = 1u << 20;
  KeptMemoryOptions kept = {};
};

class ServedLane;

class LaneServer {
 public:
  // `loop` outlives the server.
  LaneServer(EventLoop* loop, LaneServerOptions options);
  // After Run() has returned. Waits for the handlers that run.
  ~LaneServer();

  // Serves `lane` by the dispatch tables of `methods`; requests are checked
  // against `state`, if there is one. `successor`: see ServedLane::BeginEpoch().
  // `closed` is called once, on a thread of the loop or of a handler, when the
  // client is gone or was cut off.
  absl::StatusOr<std::shared_ptr<ServedLane>> Serve(UniqueFd lane,
                                                    std::shared_ptr<const MethodTable> methods,
                                                    std::shared_ptr<ChannelState> state,
                                                    std::function<void()> closed,
                                                    bool successor = false);

  // Runs the loop on this thread, and on others as handlers need them, until the
  // loop is stopped. Handlers may then still run.
  void Run();

 private:
  friend class ServedLane;

  EventLoop* const loop_;
  const LaneServerOptions options_;
  // Shared with the lanes, the last of which may outlive the server.
  const std::shared_ptr<std::atomic<int>> lanes_ = std::make_shared<std::atomic<int>>(0);
  const std::shared_ptr<KeptMemory> kept_;  // the same
  LaneGroups groups_;
  LoopThreads threads_;
};

}  // namespace capbroker::serving

#endif  // SERVING_LANE_LANE_SERVER_H_
