#include "client/worker.h"

#include <signal.h>
#include <string.h>

#include <chrono>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "capbroker/v1/broker.pb.h"
#include "client/broker_link.h"

namespace capbroker {
namespace {

// The broker never waits to answer these; a longer time means that it is stopped.
constexpr auto kPromptAnswer = std::chrono::seconds(5);

absl::Duration FromProto(const google::protobuf::Duration& proto) {
  return absl::Seconds(proto.seconds()) + absl::Nanoseconds(proto.nanos());
}

}  // namespace

struct Worker::State {
  std::shared_ptr<BrokerLink> broker;
  uint64_t id = 0;
  std::vector<std::string> layers;
  absl::Mutex mutex;
  std::optional<WorkerEnd> end ABSL_GUARDED_BY(mutex);
  bool detached ABSL_GUARDED_BY(mutex) = false;
};

std::string WorkerEnd::ToString() const {
  std::string text = !violation_.empty() ? absl::StrCat("violated its table: ", violation_)
                     : signal_ != 0
                         ? absl::StrCat("killed by signal ", signal_, " (", strsignal(signal_), ")")
                         : absl::StrCat("exited with ", exit_code_);
  if (!reason_.empty()) absl::StrAppend(&text, ": ", reason_);
  return text;
}

Worker::Worker(std::shared_ptr<BrokerLink> broker, uint64_t id, std::vector<std::string> layers)
    : state_(std::make_unique<State>()) {
  state_->broker = std::move(broker);
  state_->id = id;
  state_->layers = std::move(layers);
}

Worker::Worker(Worker&&) noexcept = default;

Worker& Worker::operator=(Worker&& other) noexcept {
  Forget();
  state_ = std::move(other.state_);
  return *this;
}

Worker::~Worker() { Forget(); }

void Worker::Forget() {
  if (state_ == nullptr) return;
  v1::KillWorkerRequest request;
  request.set_worker(state_->id);
  request.set_forget(true);
  {
    absl::MutexLock lock(&state_->mutex);
    request.set_detach(state_->detached);
  }
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPromptAnswer);
  v1::KillWorkerResponse response;
  // Only a broker that is gone does not answer, and then so is the worker.
  (void)state_->broker->Call(BrokerMethod::kKillWorker, &context, request, &response);
  state_.reset();
}

WorkerEnd Worker::Wait() { return *WaitFor(absl::InfiniteDuration()); }

std::optional<WorkerEnd> Worker::WaitFor(absl::Duration timeout) {
  {
    absl::MutexLock lock(&state_->mutex);
    if (state_->end.has_value()) return state_->end;
  }
  v1::WaitWorkerRequest request;
  request.set_worker(state_->id);
  grpc::ClientContext context;
  if (timeout != absl::InfiniteDuration()) {
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  }
  v1::WaitWorkerResponse response;
  const absl::Status status =
      state_->broker->Call(BrokerMethod::kWaitWorker, &context, request, &response);
  if (absl::IsDeadlineExceeded(status)) return std::nullopt;
  WorkerEnd end;
  if (status.ok()) {
    end.exit_code_ = response.exit_code();
    end.signal_ = response.signal();
    end.violation_ = response.violation();
    end.reason_ = response.reason();
    end.usage_ = {FromProto(response.user_time()), FromProto(response.system_time()),
                  response.max_resident_bytes()};
  } else {
    end.signal_ = SIGKILL;
    end.reason_ = absl::StrCat("the broker is gone: ", status.message());
  }
  absl::MutexLock lock(&state_->mutex);
  if (!state_->end.has_value()) state_->end = std::move(end);
  return state_->end;
}

absl::Status Worker::Kill() {
  v1::KillWorkerRequest request;
  request.set_worker(state_->id);
  grpc::ClientContext context;
  v1::KillWorkerResponse response;
  return state_->broker->Call(BrokerMethod::kKillWorker, &context, request, &response);
}

absl::Status Worker::Signal(int signal) {
  v1::SignalWorkerRequest request;
  request.set_worker(state_->id);
  request.set_signal(static_cast<uint32_t>(signal));
  grpc::ClientContext context;
  v1::SignalWorkerResponse response;
  return state_->broker->Call(BrokerMethod::kSignalWorker, &context, request, &response);
}

void Worker::Detach() {
  absl::MutexLock lock(&state_->mutex);
  state_->detached = true;
}

uint64_t Worker::id() const { return state_->id; }
const std::vector<std::string>& Worker::layers() const { return state_->layers; }

}  // namespace capbroker
