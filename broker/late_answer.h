// An answer of a callback handler that is given later. Lives in: the broker, on its
// one thread.
#ifndef BROKER_LATE_ANSWER_H_
#define BROKER_LATE_ANSWER_H_

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "transport/grpc_status.h"

namespace capbroker::broker {

// Copies are the same answer; the first Finish() counts. A caller that no longer waits
// has been answered.
template <typename Response>
class LateAnswer {
 public:
  // `response` lives until Finish().
  explicit LateAnswer(Response* response)
      : state_(std::make_shared<State>(State{nullptr, response})) {
    state_->reactor = new Reactor(state_);
  }

  // For the handler to return.
  grpc::ServerUnaryReactor* reactor() const { return state_->reactor; }

  // Null when the caller has gone, or was answered.
  Response* response() const { return state_->reactor == nullptr ? nullptr : state_->response; }

  void Finish(const absl::Status& status) const {
    if (Reactor* reactor = std::exchange(state_->reactor, nullptr)) {
      reactor->Finish(ToGrpcStatus(status));
    }
  }

 private:
  class Reactor;
  struct State {
    Reactor* reactor;
    Response* response;
  };
  class Reactor final : public grpc::ServerUnaryReactor {
   public:
    explicit Reactor(std::shared_ptr<State> state) : state_(std::move(state)) {}
    void OnDone() override { delete this; }
    void OnCancel() override {
      if (std::exchange(state_->reactor, nullptr) != nullptr) Finish(grpc::Status::CANCELLED);
    }

   private:
    const std::shared_ptr<State> state_;
  };

  std::shared_ptr<State> state_;
};

}  // namespace capbroker::broker

#endif  // BROKER_LATE_ANSWER_H_
