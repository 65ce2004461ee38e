#include "serving/channel/channel_state.h"

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
                           ChannelKeeper* keeper, AuditRecorder* audit, std::shared_ptr<void> bound)
    : id_(id),
      schema_(schema),
      budget_(std::move(budget)),
      wire_(wire),
      keeper_(keeper),
      bound_(std::move(bound)),
      audit_(audit),
      watcher_(audit != nullptr ? audit->WatcherOf(id) : nullptr),
      deliveries_(
          std::make_shared<Deliveries>(keeper != nullptr ? keeper->loop() : nullptr, budget_)),
      limits_(watcher_ != nullptr ? limits->Watched(watcher_) : std::move(limits)) {}

std::shared_ptr<const Limits> ChannelState::limits() const {
  absl::MutexLock lock(&mutex_);
  return limits_;
}

absl::Status ChannelState::Install(const Limits& limits) {
  absl::MutexLock lock(&mutex_);
  CB_ASSIGN_OR_RETURN(limits_, authority::Narrow(*limits_, limits));
  if (watcher_ != nullptr) limits_ = limits_->Watched(watcher_);
  return absl::OkStatus();
}

std::optional<Refusal> ChannelState::RefuseRevoked(const MethodSchema& method) const {
  if (!revoked()) return std::nullopt;
  return authority::MakeRefusal(v1::Denial::REVOKED, "", method.name());
}

absl::Status ChannelState::Conclude(const MethodSchema& method, const Message& request,
                                    const std::optional<Refusal>& refusal) {
  if (audit_ != nullptr) [[unlikely]]
    audit_->Decided(id_, method, request, refusal ? &*refusal : nullptr);
  if (refusal) return authority::ToStatus(*refusal);
  return budget_ != nullptr && budget_->snapshot_due() ? keeper_->RecordBudget() : absl::OkStatus();
}

ChannelState::Admission ChannelState::Admit(const MethodSchema& method, const Message& request) {
  Admission admission;
  admission.limits = limits();
  std::optional<Refusal> refusal = RefuseRevoked(method);
  // INVARIANT(name-checked-before-look): nothing of the request is used before.
  if (!refusal) refusal = admission.limits->Check(method, request);
  if (!refusal && budget_ != nullptr) refusal = budget_->ChargeCall(method, request);
  admission.status = Conclude(method, request, refusal);
  return admission;
}

ChannelState::Admission ChannelState::AdmitStream(const MethodSchema& method) {
  Admission admission;
  admission.limits = limits();
  std::optional<Refusal> refusal = RefuseRevoked(method);
  if (!refusal) refusal = admission.limits->CheckMethod(method);
  if (refusal) admission.status = Refuse(*refusal);
  return admission;
}

absl::Status ChannelState::AdmitStreamed(const MethodSchema& method, const Message& request) {
  std::optional<Refusal> refusal = RefuseRevoked(method);
  if (!refusal) refusal = limits()->Check(method, request);
  if (!refusal && budget_ != nullptr) refusal = budget_->ChargeStreamed(method, request);
  return Conclude(method, request, refusal);
}

absl::Status ChannelState::Refuse(const Refusal& refusal) {
  if (audit_ != nullptr) audit_->Refused(id_, refusal);
  return authority::ToStatus(refusal);
}

absl::Status ChannelState::Deliver(const MethodSchema& method,
                                   absl::Span<const NamedDescriptor> descriptors) {
  const absl::Status added = deliveries_->Add(method, descriptors);
  if (added.ok()) {
    if (audit_ != nullptr) audit_->Delivered(id_, method.name(), descriptors.size());
    return added;
  }
  if (const std::optional<Refusal> refusal = RefuseRevoked(method)) return Refuse(*refusal);
  if (audit_ != nullptr) {
    if (std::optional<v1::Denial> denial = authority::DenialOf(added)) {
      audit_->Refused(id_, {*std::move(denial), ""});
    }
  }
  return added;
}

void ChannelState::RecordAnswer(const MethodSchema& method,
                                const std::optional<v1::Denial>& denial) {
  if (!denial.has_value() || denial->reason() != v1::Denial::OBJECT_REFUSED) return;
  audit_->Refused(id_, authority::MakeRefusal(denial->reason(), denial->field(), method.name()));
}

absl::Status ChannelState::AdmitResponse(const MethodSchema& method, size_t bytes,
                                         size_t descriptors) {
  if (const std::optional<Refusal> refusal = RefuseRevoked(method)) return Refuse(*refusal);
  if (budget_ == nullptr) return absl::OkStatus();
  if (const std::optional<Refusal> refusal = budget_->ChargeResponse(method, bytes, descriptors)) {
    return Refuse(*refusal);
  }
  return budget_->snapshot_due() ? keeper_->RecordBudget() : absl::OkStatus();
}

}  // namespace capbroker::serving
