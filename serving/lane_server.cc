#include "serving/lane_server.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "base/status_macros.h"
#include "serving/served_lane.h"

namespace capbroker::serving {
namespace {

// A bound for the process, however many channels it has.
constexpr int kMostThreads = 256;

}  // namespace

LaneServer::LaneServer(EventLoop* loop, LaneServerOptions options)
    : loop_(loop), options_(options) {}

LaneServer::~LaneServer() {
  absl::MutexLock lock(&mutex_);
  for (std::thread& thread : threads_) thread.join();
}

absl::StatusOr<std::shared_ptr<ServedLane>> LaneServer::Serve(
    UniqueFd lane, std::shared_ptr<const MethodTable> methods,
    std::shared_ptr<ChannelState> state, std::function<void()> closed, bool successor) {
  auto served = std::make_shared<ServedLane>(this, std::move(lane), std::move(methods),
                                             std::move(state), std::move(closed));
  if (successor) served->BeginEpoch();
  CB_RETURN_IF_ERROR(served->Start());
  return served;
}

void LaneServer::EnsureWaiter() {
  if (!options_.grow || loop_->waiting() > 0) return;
  absl::MutexLock lock(&mutex_);
  // One more for each channel, so that none can take the others' threads.
  const int most = std::min(options_.max_threads + lanes_.load(), kMostThreads);
  if (static_cast<int>(threads_.size()) >= most || loop_->waiting() > 0) return;
  try {
    threads_.emplace_back([this] { loop_->Run(); });
  } catch (const std::system_error&) {
    // At the process's bound of threads: the handlers that run will come back.
  }
}

void LaneServer::Run() {
  loop_->Run();
  std::vector<std::thread> threads;
  {
    absl::MutexLock lock(&mutex_);
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace capbroker::serving
