#include "serving/wire/wire_gate.h"

#include <grpc/grpc.h>

#include <utility>

#include "authority/denial.h"
#include "transport/grpc_status.h"

namespace capbroker::serving {
namespace {

// A call on the wire: the same limits, and no descriptors.
class WireCall final : public Call {
 public:
  WireCall(std::shared_ptr<ChannelState> state, std::shared_ptr<const authority::Limits> limits,
           const authority::MethodSchema& schema)
      : state_(std::move(state)), limits_(std::move(limits)), schema_(schema) {}

  const std::shared_ptr<const authority::Limits>& limits() const override { return limits_; }

  bool CanAttach() const override { return false; }
  grpc::Status Attach(UniqueFd, v1::Descriptor*) override { return NoDescriptors(); }
  absl::StatusOr<UniqueFd> Take(const v1::Descriptor&) override {
    return absl::FailedPreconditionError("the wire carries no descriptors");
  }
  grpc::Status AttachBoundChannel(const google::protobuf::Message&, v1::Descriptor*,
                                  std::shared_ptr<void>) override {
    return NoDescriptors();
  }
  grpc::Status Refuse(absl::string_view field) const override {
    return ToGrpcStatus(authority::ToStatus(
        authority::MakeRefusal(v1::Denial::OBJECT_REFUSED, field, schema_.name())));
  }
  ChannelState& channel() override { return *state_; }
  grpc::Status EndChannel() override {
    return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "a channel ends on its lane");
  }

 private:
  static grpc::Status NoDescriptors() {
    return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION,
                        "the wire carries no descriptors; call the method on the lane");
  }

  const std::shared_ptr<ChannelState> state_;
  const std::shared_ptr<const authority::Limits> limits_;
  const authority::MethodSchema& schema_;
};

}  // namespace

WireGate::Admission WireGate::Admitted(int method, ChannelState::Admission admitted) {
  if (!admitted.status.ok()) return {ToGrpcStatus(admitted.status), nullptr};
  return {grpc::Status::OK,
          std::make_unique<WireCall>(state_, std::move(admitted.limits), Schema(method))};
}

WireGate::Admission WireGate::Admit(int method, const google::protobuf::Message& request) {
  return Admitted(method, state_->Admit(Schema(method), request));
}

WireGate::Admission WireGate::AdmitStream(int method) {
  return Admitted(method, state_->AdmitStream(Schema(method)));
}

grpc::Status WireGate::AdmitMessage(int method, const google::protobuf::Message& message,
                                    bool first) {
  return ToGrpcStatus(first ? state_->Admit(Schema(method), message).status
                            : state_->AdmitStreamed(Schema(method), message));
}

namespace {

grpc::Status Revoked() {
  return ToGrpcStatus(authority::ToStatus(authority::MakeRefusal(v1::Denial::REVOKED, "", "call")));
}

}  // namespace

// The state is read after the call has entered, and set before Revoke() looks who is there.
void WireGate::Enter(InFlight* call) {
  absl::MutexLock lock(&mutex_);
  in_flight_.insert(call);
  if (state_->revoked()) call->End(Revoked());
}

void WireGate::Leave(InFlight* call) {
  absl::MutexLock lock(&mutex_);
  in_flight_.erase(call);
}

void WireGate::Revoke() {
  const grpc::Status why = Revoked();
  absl::MutexLock lock(&mutex_);
  for (InFlight* const call : in_flight_) call->End(why);
}

// On a server gRPC sends this as the call's status, and cancels the call.
void UnaryInFlight::End(const grpc::Status& why) {
  grpc_call_cancel_with_status(call_, static_cast<grpc_status_code>(why.error_code()),
                               why.error_message().c_str(), nullptr);
}

grpc::Status WireGate::Record(int method, grpc::Status answer) {
  if (state_->audits()) [[unlikely]]
    state_->RecordAnswer(Schema(method), DenialOf(answer));
  return answer;
}

grpc::Status WireGate::AdmitResponse(int method, const google::protobuf::Message& response) {
  return ToGrpcStatus(state_->AdmitResponse(Schema(method), response.ByteSizeLong(), 0));
}

}  // namespace capbroker::serving
