#include "serving/channel_state.h"

#include <utility>

#include "authority/denial.h"
#include "base/status_macros.h"

namespace capbroker::serving {

using authority::Limits;
using authority::MethodSchema;
using authority::Refusal;
using google::protobuf::Message;

ChannelState::ChannelState(uint64_t id, const authority::ServiceSchema& schema,
                           std::shared_ptr<const Limits> limits,
                           std::shared_ptr<authority::Budget> budget, bool wire,
                           ChannelKeeper* keeper, std::shared_ptr<void> bound)
    : id_(id),
      schema_(schema),
      budget_(std::move(budget)),
      wire_(wire),
      keeper_(keeper),
      bound_(std::move(bound)),
      limits_(std::move(limits)) {}

std::shared_ptr<const Limits> ChannelState::limits() const {
  absl::MutexLock lock(&mutex_);
  return limits_;
}

absl::Status ChannelState::Install(const Limits& limits) {
  absl::MutexLock lock(&mutex_);
  CB_ASSIGN_OR_RETURN(limits_, authority::Narrow(*limits_, limits));
  return absl::OkStatus();
}

absl::Status ChannelState::Revoked(const MethodSchema& method) const {
  return authority::ToStatus(authority::MakeRefusal(v1::Denial::REVOKED, "", method.name()));
}

ChannelState::Admission ChannelState::Admit(const MethodSchema& method, const Message& request) {
  if (revoked()) return {Revoked(method), nullptr};
  Admission admission;
  admission.limits = limits();
  // INVARIANT(name-checked-before-look): nothing of the request is used before.
  if (const std::optional<Refusal> refusal = admission.limits->Check(method, request)) {
    admission.status = authority::ToStatus(*refusal);
    return admission;
  }
  if (budget_ == nullptr) return admission;
  if (const std::optional<Refusal> refusal = budget_->ChargeCall(method, request)) {
    admission.status = authority::ToStatus(*refusal);
  } else if (budget_->snapshot_due()) {
    admission.status = keeper_->RecordBudget();
  }
  return admission;
}

absl::Status ChannelState::AdmitStreamed(const MethodSchema& method, const Message& request) {
  if (revoked()) return Revoked(method);
  if (const std::optional<Refusal> refusal = limits()->Check(method, request)) {
    return authority::ToStatus(*refusal);
  }
  if (budget_ == nullptr) return absl::OkStatus();
  if (const std::optional<Refusal> refusal = budget_->ChargeStreamed(method, request)) {
    return authority::ToStatus(*refusal);
  }
  return budget_->snapshot_due() ? keeper_->RecordBudget() : absl::OkStatus();
}

absl::Status ChannelState::AdmitResponse(const MethodSchema& method, size_t bytes,
                                         size_t descriptors) {
  if (revoked()) return Revoked(method);
  if (budget_ == nullptr) return absl::OkStatus();
  if (const std::optional<Refusal> refusal = budget_->ChargeResponse(method, bytes, descriptors)) {
    return authority::ToStatus(*refusal);
  }
  return budget_->snapshot_due() ? keeper_->RecordBudget() : absl::OkStatus();
}

}  // namespace capbroker::serving
