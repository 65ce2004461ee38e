#include "serving/interposition/cancellation_watch.h"

#include <system_error>
#include <utility>

#include "absl/time/time.h"
#include "transport/lane_socket.h"

namespace capbroker::serving {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(transport::kCancelTickMs);
// Ticks without a call after which the thread sleeps, so that calls that follow each other
// don't wake it each time.
constexpr int kQuietTicks = 10;

}  // namespace

CancellationWatch::~CancellationWatch() {
  std::thread thread;
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    wake_.Signal();
    thread = std::move(thread_);
  }
  if (thread.joinable()) thread.join();
}

CancellationWatch::Scope::Scope(CancellationWatch& watch, const grpc::ServerContextBase& caller,
                                grpc::ClientContext& call)
    : watch_(watch) {
  absl::MutexLock lock(&watch_.mutex_);
  watched_ = watch_.watched_.insert(watch_.watched_.end(), {&caller, &call});
  if (!watch_.thread_.joinable()) {
    try {
      watch_.thread_ = std::thread([&watch] { watch.Run(); });
    } catch (const std::system_error&) {
      // At the process's bound of threads: the next call tries again.
    }
  }
  if (watch_.asleep_) watch_.wake_.Signal();
}

CancellationWatch::Scope::~Scope() {
  absl::MutexLock lock(&watch_.mutex_);
  watch_.watched_.erase(watched_);
}

void CancellationWatch::Run() {
  absl::MutexLock lock(&mutex_);
  int quiet = 0;
  while (!stopped_) {
    quiet = watched_.empty() ? quiet + 1 : 0;
    if (quiet > kQuietTicks) {
      asleep_ = true;
      wake_.Wait(&mutex_);
      asleep_ = false;
      quiet = 0;
      continue;
    }
    wake_.WaitWithTimeout(&mutex_, kTick);
    for (const Watched& watched : watched_) {
      if (watched.caller->IsCancelled()) watched.call->TryCancel();
    }
  }
}

}  // namespace capbroker::serving
