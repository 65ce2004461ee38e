#include "serving/wire_gate.h"

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

WireGate::Admission WireGate::Admit(int method, const google::protobuf::Message& request) {
  ChannelState::Admission admitted = state_->Admit(Schema(method), request);
  if (!admitted.status.ok()) return {ToGrpcStatus(admitted.status), nullptr};
  return {grpc::Status::OK,
          std::make_unique<WireCall>(state_, std::move(admitted.limits), Schema(method))};
}

WireGate::Admission WireGate::AdmitStream(int method) {
  std::shared_ptr<const authority::Limits> limits = state_->limits();
  std::optional<authority::Refusal> refusal;
  if (state_->revoked()) {
    refusal = authority::MakeRefusal(v1::Denial::REVOKED, "", Schema(method).name());
  } else if (!limits->AllowsMethod(Schema(method))) {
    refusal = authority::MakeRefusal(v1::Denial::METHOD_NOT_ALLOWED, "", Schema(method).name());
  }
  if (refusal) return {ToGrpcStatus(state_->Refuse(*refusal)), nullptr};
  return {grpc::Status::OK, std::make_unique<WireCall>(state_, std::move(limits), Schema(method))};
}

grpc::Status WireGate::AdmitMessage(int method, const google::protobuf::Message& message,
                                    bool first) {
  return ToGrpcStatus(first ? state_->Admit(Schema(method), message).status
                            : state_->AdmitStreamed(Schema(method), message));
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
