#include "serving/lane/lane_call.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "absl/base/internal/raw_logging.h"
#include "absl/container/inlined_vector.h"
#include "authority/denial.h"
#include "base/status_macros.h"
#include "serving/lane/served_lane.h"
#include "transport/bulk.h"
#include "transport/descriptor_rights.h"
#include "transport/grpc_access.h"
#include "transport/grpc_status.h"
#include "transport/packet.h"

namespace capbroker::serving {

using google::protobuf::Message;
using transport::ServerContextAccess;

// What gRPC's reactor of a callback handler is bound to. Keeps the call until the
// handler has returned and Finish() was called.
class LaneCall::Reaction final : public grpc::ServerCallbackUnary {
 public:
  Reaction(std::shared_ptr<LaneCall> call, grpc::ServerUnaryReactor* reactor)
      : call_(std::move(call)), reactor_(reactor) {}

  void Start() {
    BindReactor(reactor_);
    bool cancel;
    {
      absl::MutexLock lock(&call_->mutex_);
      started_ = true;
      cancel = TakeCancel();
    }
    if (cancel) reactor_->OnCancel();
    Unref();
  }

  // Whether OnCancel() is to be called, which happens once, not before the
  // handler has returned and not after Finish(). With the call's mutex held.
  bool TakeCancel() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (!started_ || finished_ || told_ || !call_->cancelled_) return false;
    told_ = true;
    return true;
  }
  void Ref() { ++references_; }  // with the call's mutex held
  void OnCancelAndUnref() {
    reactor_->OnCancel();
    Unref();
  }

  void Finish(grpc::Status status) override {
    {
      absl::MutexLock lock(&call_->mutex_);
      finished_ = true;
    }
    call_->Answer(status);
    Unref();
  }

  void SendInitialMetadata() override { reactor_->OnSendInitialMetadataDone(true); }

 private:
  void CallOnDone() override {}
  grpc::internal::ServerReactor* reactor() override { return reactor_; }

  void Unref() {
    const std::shared_ptr<LaneCall> call = call_;
    {
      absl::MutexLock lock(&call->mutex_);
      if (--references_ != 0) return;
      call->reaction_ = nullptr;
    }
    reactor_->OnDone();
    delete this;
  }

  const std::shared_ptr<LaneCall> call_;
  grpc::ServerUnaryReactor* const reactor_;
  // Guarded by call_->mutex_.
  int references_ = 2;  // Start() and Finish()
  bool started_ = false;
  bool finished_ = false;
  bool told_ = false;
};

LaneCall::LaneCall(std::shared_ptr<ServedLane> lane, const ServedMethod& method, uint64_t id,
                   size_t request_bytes, RequestMemory memory)
    : lane_(std::move(lane)),
      method_(method),
      id_(id),
      request_bytes_(request_bytes),
      memory_(std::move(memory)) {
  request_ = method.method->request()->New(&arena_);
  response_ = method.method->response()->New(&arena_);
}

LaneCall::~LaneCall() = default;

ChannelState* LaneCall::state() const { return lane_->state(); }

ChannelState& LaneCall::channel() {
  ABSL_RAW_CHECK(state() != nullptr, "a lane of the broker's own has no channel");
  return *state();
}

absl::Status LaneCall::Read(transport::ReceivedPacket packet) {
  const transport::PacketHeader& header = packet.view.header;
  deadline_ns_ = header.deadline_ns;
  received_ = std::move(packet.descriptors);
  if (!packet.view.metadata.empty() &&
      !metadata_.ParseFromArray(packet.view.metadata.data(),
                                static_cast<int>(packet.view.metadata.size()))) {
    return absl::InvalidArgumentError("malformed metadata");
  }
  // Parsed on the handler's thread, not on the loop's.
  if (transport::IsInMemory(header.flags)) return absl::OkStatus();
  if (!request_->ParseFromArray(packet.view.message.data(),
                                static_cast<int>(packet.view.message.size()))) {
    return absl::InvalidArgumentError("malformed request");
  }
  return absl::OkStatus();
}

absl::Status LaneCall::ParseLarge() {
  bool parsed = false;
  if (memory_.in_loan) {
    parsed = memory_.loan.memory().Read(request_bytes_).ParseTo(request_);
  } else if (memory_.once.valid()) {
    CB_RETURN_IF_ERROR(
        transport::ReadRequest(memory_.once, request_bytes_, [&](absl::string_view bytes) {
          parsed = request_->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
        }));
    memory_.once.Reset();
  } else {
    return absl::OkStatus();
  }
  return parsed ? absl::OkStatus() : absl::InvalidArgumentError("malformed request");
}

absl::Status LaneCall::CheckRequest() {
  if (deadline_ns_ != 0 && transport::MonotonicNowNs() >= deadline_ns_) {
    return absl::DeadlineExceededError("Deadline Exceeded");
  }
  CB_RETURN_IF_ERROR(ParseLarge());
  if (method_.request_descriptors || !received_.empty()) {
    const absl::InlinedVector<FdRef, 2> refs(received_.begin(), received_.end());
    CB_RETURN_IF_ERROR(transport::CheckDescriptors(*request_, refs));
  }
  ChannelState* state = this->state();
  if (state == nullptr) return absl::OkStatus();
  if (method_.schema == nullptr) {
    limits_ = state->limits();
    // The channel's own methods end with it.
    if (!state->revoked()) return absl::OkStatus();
    const absl::string_view name = method_.method->name;
    return authority::ToStatus(
        authority::MakeRefusal(v1::Denial::REVOKED, "", name.substr(name.rfind('/') + 1)));
  }
  // INVARIANT(same-check-on-both-paths): WireGate::Admit() is this call's twin.
  ChannelState::Admission admission = state->Admit(*method_.schema, *request_);
  limits_ = std::move(admission.limits);
  return admission.status;
}

void LaneCall::Run() {
  if (answered_.load()) return;  // failed while it waited
  if (const absl::Status checked = CheckRequest(); !checked.ok()) {
    return Answer(ToGrpcStatus(checked));
  }
  method_.method->invoke(method_.dispatch->service(), *this);
}

void LaneCall::PrepareContext(grpc::ServerContextBase& context) {
  ServerContextAccess::SetDeadline(context, deadline_ns_);
  if (metadata_.entries_size() > 0) ServerContextAccess::SetClientMetadata(context, metadata_);
  absl::MutexLock lock(&mutex_);
  live_context_ = &context;
  if (cancelled_) ServerContextAccess::Cancel(context);
}

grpc::ServerContext* LaneCall::sync_context() {
  if (!sync_context_) PrepareContext(sync_context_.emplace());
  return &*sync_context_;
}

grpc::CallbackServerContext* LaneCall::callback_context() {
  if (!callback_context_) PrepareContext(callback_context_.emplace());
  return &*callback_context_;
}

const grpc::ServerContextBase* LaneCall::context() const {
  if (sync_context_) return &*sync_context_;
  return callback_context_ ? &*callback_context_ : nullptr;
}

void LaneCall::Cancel() {
  Reaction* told = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    if (std::exchange(cancelled_, true)) return;
    if (live_context_ != nullptr) ServerContextAccess::Cancel(*live_context_);
    if (reaction_ != nullptr && reaction_->TakeCancel()) {
      told = reaction_;
      told->Ref();
    }
  }
  if (told != nullptr) told->OnCancelAndUnref();
}

void LaneCall::Fail(const absl::Status& status) {
  if (!answered_.exchange(true)) {
    lane_->SendFailure(id_, ToGrpcStatus(status));
    lane_->Forget(*this);
  }
  Cancel();
}

void LaneCall::Bind(grpc::ServerUnaryReactor* reactor) {
  if (reactor == nullptr) {
    return Answer(grpc::Status(grpc::StatusCode::UNIMPLEMENTED, ""));
  }
  auto* reaction = new Reaction(shared_from_this(), reactor);
  {
    absl::MutexLock lock(&mutex_);
    reaction_ = reaction;
  }
  reaction->Start();
}

void LaneCall::Answer(const grpc::Status& status) {
  if (answered_.exchange(true)) return;
  Send(status);
  lane_->Forget(*this);
  if (ends_channel_) lane_->CloseWhenSent();
}

absl::Status LaneCall::CheckResponse(size_t size) {
  if (size > method_.max_message_bytes) {
    return absl::ResourceExhaustedError("response larger than its bound");
  }
  if (method_.response_descriptors || !sent_.empty()) {
    CB_RETURN_IF_ERROR(transport::ReduceDescriptors(*response_, absl::MakeSpan(sent_)));
    const absl::InlinedVector<FdRef, 2> refs(sent_.begin(), sent_.end());
    if (const absl::Status checked = transport::CheckDescriptors(*response_, refs); !checked.ok()) {
      return absl::InternalError(checked.message());
    }
  }
  if (method_.schema == nullptr || state() == nullptr) return absl::OkStatus();
  CB_RETURN_IF_ERROR(state()->AdmitResponse(*method_.schema, size, sent_.size()));
  return sent_.size() > channel_slots_.size() ? Deliver() : absl::OkStatus();
}

// What the caller is about to have.
absl::Status LaneCall::Deliver() {
  absl::InlinedVector<NamedDescriptor, 2> descriptors;
  bool leases = false;
  CB_RETURN_IF_ERROR(transport::VisitDescriptors(
      *response_, [&](const google::protobuf::FieldDescriptor& field, uint32_t slot) {
        // A further channel is revoked with this one.
        if (std::find(channel_slots_.begin(), channel_slots_.end(), slot) == channel_slots_.end()) {
          descriptors.push_back({&field, sent_[slot - 1]});
          leases |= IsLeased(field);
        }
        return absl::OkStatus();
      }));
  // Nobody would shut such a connection down.
  if (leases && !Awaited()) return absl::CancelledError("the caller is gone");
  return state()->Deliver(*method_.schema, descriptors);
}

bool LaneCall::Awaited() {
  if (deadline_ns_ != 0 && transport::MonotonicNowNs() >= deadline_ns_) return false;
  absl::MutexLock lock(&mutex_);
  return !cancelled_;
}

void LaneCall::Send(const grpc::Status& status) {
  const size_t size = status.ok() ? response_->ByteSizeLong() : 0;
  grpc::Status sent = status;
  if (status.ok()) {
    if (const absl::Status checked = CheckResponse(size); !checked.ok()) {
      sent = ToGrpcStatus(checked);
    }
  }
  if (state() != nullptr && state()->audits() && method_.schema != nullptr) [[unlikely]] {
    state()->RecordAnswer(*method_.schema, DenialOf(status));
  }
  static const std::multimap<std::string, std::string> kNone;
  const grpc::ServerContextBase* from = context();
  lane_->SendReply(id_, sent, from == nullptr ? kNone : ServerContextAccess::InitialMetadata(*from),
                   from == nullptr ? kNone : ServerContextAccess::TrailingMetadata(*from),
                   *response_, std::move(sent_), memory_.loan);
}

grpc::Status LaneCall::Attach(UniqueFd fd, v1::Descriptor* field) {
  if (sent_.size() + 1 >= transport::kMaxDescriptors) {
    return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED,
                        "too many descriptors for a response");
  }
  sent_.push_back(std::move(fd));
  field->set_slot(static_cast<uint32_t>(sent_.size()));
  return grpc::Status::OK;
}

absl::StatusOr<UniqueFd> LaneCall::Take(const v1::Descriptor& field) {
  if (field.slot() == 0 || field.slot() > received_.size() ||
      !received_[field.slot() - 1].valid()) {
    return absl::InvalidArgumentError("take descriptor: the field names none");
  }
  return std::move(received_[field.slot() - 1]);
}

grpc::Status LaneCall::AttachBoundChannel(const Message& limits, v1::Descriptor* field,
                                          std::shared_ptr<void> bound) {
  ChannelState* state = this->state();
  if (state == nullptr) return grpc::Status(grpc::StatusCode::INTERNAL, "no channel to clone");
  absl::StatusOr<std::shared_ptr<const authority::Limits>> compiled =
      authority::Limits::Compile(state->schema(), limits);
  if (!compiled.ok()) return ToGrpcStatus(compiled.status());
  absl::StatusOr<ChannelKeeper::Cloned> clone =
      state->keeper().Clone(*state, compiled->get(), std::move(bound));
  if (!clone.ok()) return ToGrpcStatus(clone.status());
  grpc::Status attached = Attach(std::move(clone->client_end), field);
  if (attached.ok()) channel_slots_.push_back(field->slot());
  return attached;
}

grpc::Status LaneCall::EndChannel() {
  ends_channel_ = true;
  return grpc::Status::OK;
}

grpc::Status LaneCall::Refuse(absl::string_view field) const {
  const absl::string_view method =
      method_.schema == nullptr ? absl::string_view("call") : method_.schema->name();
  return ToGrpcStatus(
      authority::ToStatus(authority::MakeRefusal(v1::Denial::OBJECT_REFUSED, field, method)));
}

}  // namespace capbroker::serving
