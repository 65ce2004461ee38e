// Calls a callback handler without gRPC: the handler's virtual method, on this
// thread, with limits as the test says.
//
// Lives in: test programs.
#ifndef SERVICES_DNS_TESTING_DIRECT_CALL_H_
#define SERVICES_DNS_TESTING_DIRECT_CALL_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "serving/call.h"
#include "serving/fake_call.h"
#include "transport/grpc_status.h"

namespace capbroker::dns {

// The reactor is told of its end when this is destroyed, as gRPC does after Finish.
template <typename Response>
class DirectCall : public grpc::ServerCallbackUnary {
 public:
  explicit DirectCall(std::shared_ptr<const authority::Limits> limits) : call_(std::move(limits)) {}
  ~DirectCall() override {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&finished_));
    if (reactor_ != nullptr) reactor_->OnDone();
  }

  // `method`: &ResolverService::Resolve.
  template <typename Service, typename Method, typename Request>
  void Start(Service& service, Method method, const Request& request) {
    const serving::CallScope scope(&context_, &call_);
    reactor_ = (service.*method)(&context_, &request, &response_);
    this->BindReactor(reactor_);
  }

  void Cancel() { reactor_->OnCancel(); }

  bool finished() const {
    absl::MutexLock lock(&mutex_);
    return finished_;
  }
  // DEADLINE_EXCEEDED if it takes too long.
  absl::Status Wait(absl::Duration timeout = absl::Seconds(20)) {
    absl::MutexLock lock(&mutex_);
    if (!mutex_.AwaitWithTimeout(absl::Condition(&finished_), timeout)) {
      return absl::DeadlineExceededError("the handler does not finish");
    }
    return FromGrpcStatus(status_);
  }
  const Response& response() const { return response_; }

 private:
  void Finish(grpc::Status status) override {
    absl::MutexLock lock(&mutex_);
    status_ = std::move(status);
    finished_ = true;
  }
  void SendInitialMetadata() override {}
  grpc::internal::ServerReactor* reactor() override { return reactor_; }
  void CallOnDone() override {}

  serving::FakeCall call_;
  grpc::CallbackServerContext context_;
  Response response_;
  grpc::ServerUnaryReactor* reactor_ = nullptr;
  mutable absl::Mutex mutex_;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::Status status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace capbroker::dns

#endif  // SERVICES_DNS_TESTING_DIRECT_CALL_H_
