// The check on the wire: the twin of LaneCall's, for what gRPC's own server has
// received. INVARIANT(same-check-on-both-paths)
//
// Lives in: service processes, one for each wire. Thread-safe.
#ifndef SERVING_WIRE_WIRE_GATE_H_
#define SERVING_WIRE_WIRE_GATE_H_

#include <google/protobuf/message.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "serving/call.h"
#include "serving/channel/channel_state.h"
#include "serving/wire/stream_tap.h"

namespace capbroker::serving {

class WireGate {
 public:
  // `taps`: of a proxy; null for any other service.
  explicit WireGate(std::shared_ptr<ChannelState> state, StreamTaps* taps = nullptr)
      : state_(std::move(state)), taps_(taps) {}

  // A call that is being answered.
  class InFlight {
   public:
    // Ends it with `why`, and its handler sees itself cancelled. Must not leave the gate itself.
    virtual void End(const grpc::Status& why) = 0;

   protected:
    ~InFlight() = default;
  };
  // Until it leaves, a revocation ends `call`; at once if there was one already.
  void Enter(InFlight* call) ABSL_LOCKS_EXCLUDED(mutex_);
  void Leave(InFlight* call) ABSL_LOCKS_EXCLUDED(mutex_);

  // After the channel's state says that it is revoked: ends the calls that were admitted before.
  void Revoke() ABSL_LOCKS_EXCLUDED(mutex_);

  struct Admission {
    grpc::Status status;
    std::unique_ptr<Call> call;  // for the handler's CallScope
  };
  // For a call with one request: checks and charges it.
  Admission Admit(int method, const google::protobuf::Message& request);
  // For a call with a stream of requests: whether it may be called at all, ...
  Admission AdmitStream(int method);
  // ... and each message; the first one charges the call.
  grpc::Status AdmitMessage(int method, const google::protobuf::Message& message, bool first);
  grpc::Status AdmitResponse(int method, const google::protobuf::Message& response);
  // For the audit: what the handler has answered, which is given back.
  grpc::Status Record(int method, grpc::Status answer);

  // For a call with a stream of requests to a proxy; null for any other service.
  absl::StatusOr<std::unique_ptr<StreamTap>> Tap(int method, std::unique_ptr<Call> call,
                                                 const grpc::CallbackServerContext* context) {
    if (taps_ == nullptr) return nullptr;
    return taps_->Tap(method, std::move(call), context);
  }

 private:
  Admission Admitted(int method, ChannelState::Admission admitted);
  const authority::MethodSchema& Schema(int method) const {
    return state_->schema().methods()[static_cast<size_t>(method)];
  }

  const std::shared_ptr<ChannelState> state_;
  StreamTaps* const taps_;
  absl::Mutex mutex_;
  absl::flat_hash_set<InFlight*> in_flight_ ABSL_GUARDED_BY(mutex_);
};

// In flight: a unary call, whose server gRPC lets end it by code and text alone.
class UnaryInFlight final : public WireGate::InFlight {
 public:
  UnaryInFlight(WireGate& gate, grpc::ServerContextBase* context)
      : gate_(gate), call_(context->c_call()) {
    gate_.Enter(this);
  }
  ~UnaryInFlight() { gate_.Leave(this); }
  UnaryInFlight(const UnaryInFlight&) = delete;
  UnaryInFlight& operator=(const UnaryInFlight&) = delete;

 private:
  void End(const grpc::Status& why) override;

  WireGate& gate_;
  grpc_call* const call_;
};

}  // namespace capbroker::serving

#endif  // SERVING_WIRE_WIRE_GATE_H_
