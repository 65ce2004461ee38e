#include "serving/lane/lane_server.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "serving/lane/served_lane.h"

namespace capbroker::serving {
namespace {

// A bound for the process, however many channels it has.
constexpr int kMostThreads = 256;

}  // namespace

LaneServer::LaneServer(EventLoop* loop, LaneServerOptions options)
    : loop_(loop),
      options_(options),
      kept_(std::make_shared<KeptMemory>(loop, options.kept)),
      groups_(loop),
      // One more for each channel, so that none can take the others' threads.
      threads_(loop, [this] {
        return options_.grow ? std::min(options_.max_threads + lanes_->load(), kMostThreads) : 1;
      }) {}

LaneServer::~LaneServer() = default;

absl::StatusOr<std::shared_ptr<ServedLane>> LaneServer::Serve(
    UniqueFd lane, std::shared_ptr<const MethodTable> methods, std::shared_ptr<ChannelState> state,
    std::function<void()> closed, bool successor) {
  auto served = std::make_shared<ServedLane>(this, std::move(lane), std::move(methods),
                                             std::move(state), std::move(closed));
  if (successor) served->BeginEpoch();
  CB_RETURN_IF_ERROR(served->Start());
  return served;
}

void LaneServer::Run() { threads_.Run(); }

}  // namespace capbroker::serving
