#include "serving/process/family_server.h"

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "authority/denial.h"
#include "base/status_macros.h"
#include "transport/call_descriptors.h"
#include "transport/grpc_status.h"
#include "transport/lane_socket.h"

namespace capbroker::serving {
namespace {

using authority::Budget;
using authority::BudgetUsage;
using authority::Limits;

BudgetUsage FromProto(const v1::BudgetUsage& proto) {
  BudgetUsage usage;
  for (const v1::BudgetUsage::Field& field : proto.fields()) {
    usage.fields.push_back(
        {field.name(), field.used(), {field.values().begin(), field.values().end()}});
  }
  return usage;
}

v1::BudgetUsage ToProto(const BudgetUsage& usage) {
  v1::BudgetUsage proto;
  for (const BudgetUsage::Field& field : usage.fields) {
    v1::BudgetUsage::Field* added = proto.add_fields();
    added->set_name(field.name);
    added->set_used(field.used);
    for (const std::string& value : field.values) added->add_values(value);
  }
  return proto;
}

absl::StatusOr<std::shared_ptr<Budget>> MakeBudget(const authority::ServiceSchema& schema,
                                                   const google::protobuf::Any& budget,
                                                   const authority::BudgetClock& clock) {
  if (schema.budget_type() == nullptr || budget.type_url().empty()) {
    return Budget::CreateDefault(schema, clock);
  }
  const std::unique_ptr<google::protobuf::Message> message = schema.NewBudget();
  if (!budget.UnpackTo(message.get())) {
    return absl::InvalidArgumentError("budget: not the service's budget message");
  }
  return Budget::Create(schema, *message, clock);
}

}  // namespace

FamilyServer::FamilyServer(EventLoop* loop, LaneServer* server, Dispatch* service,
                           Dispatch* capability, const authority::ServiceSchema* schema,
                           v1::Supervisor::StubInterface* supervisor, authority::BudgetClock clock)
    : loop_(loop),
      server_(server),
      service_(service),
      schema_(schema),
      methods_(MethodTable::Build({service, capability}, schema)),
      supervisor_(supervisor),
      clock_(std::move(clock)) {
  for (const authority::MethodSchema& method : schema->methods()) {
    takes_descriptors_ |= method.request_descriptors();
  }
}

FamilyServer::~FamilyServer() { Close(); }

absl::Status FamilyServer::SetAccount(const google::protobuf::Any& budget,
                                      const v1::BudgetUsage* usage) {
  if (budget_ != nullptr) return absl::OkStatus();
  CB_ASSIGN_OR_RETURN(budget_, MakeBudget(*schema_, budget, clock_));
  return usage == nullptr ? absl::OkStatus() : budget_->Restore(FromProto(*usage));
}

void FamilyServer::SetAudit(const v1::AuditSettings& settings) {
  if (audit_ != nullptr) return;
  audit_ = std::make_unique<AuditRecorder>(
      schema_, settings,
      [this](const v1::ReportEventsRequest& events) {
        grpc::ClientContext context;
        v1::ReportEventsResponse response;
        (void)supervisor_->ReportEvents(&context, events, &response);
      },
      [this](absl::Duration delay, std::function<void()> function) {
        loop_->RunAt(absl::Now() + delay, std::move(function));
      });
}

void FamilyServer::FinishAudit() {
  if (audit_ != nullptr) audit_->Finish();
}

absl::Status FamilyServer::Add(const v1::ChannelRecord& record, UniqueFd lane, bool wire,
                               bool successor) {
  if (successor) successor_ = true;
  CB_ASSIGN_OR_RETURN(std::shared_ptr<const Limits> limits,
                      Limits::Compile(*schema_, record.limits()));
  auto state = std::make_shared<ChannelState>(record.channel(), *schema_, std::move(limits),
                                              budget_, wire, this, audit_.get());
  if (record.revoked()) state->Revoke();
  authority::HeldCharge charge;
  if (record.parent() != 0) {
    // One that the family had before the crash has its place already.
    absl::StatusOr<authority::HeldCharge> charged = budget_->ChargeClone();
    if (charged.ok()) charge = *std::move(charged);
  }
  return Serve(std::move(state), std::move(lane), std::move(charge), successor);
}

absl::Status FamilyServer::Serve(std::shared_ptr<ChannelState> state, UniqueFd lane,
                                 authority::HeldCharge charge, bool successor) {
  const uint64_t id = state->id();
  {
    absl::MutexLock lock(&mutex_);
    Member& member = members_[id];
    member.state = state;
    member.charge = std::move(charge);
  }
  absl::StatusOr<std::shared_ptr<ServedLane>> served = server_->Serve(
      std::move(lane), methods_, std::move(state), [this, id] { Forget(id); }, successor);
  absl::MutexLock lock(&mutex_);
  const auto member = members_.find(id);
  if (!served.ok()) {
    if (member != members_.end()) members_.erase(member);
    return served.status();
  }
  // The client may be gone by now.
  if (member != members_.end()) member->second.lane = *std::move(served);
  return absl::OkStatus();
}

// INVARIANT(no-orphans): the last channel ends the process.
void FamilyServer::Forget(uint64_t channel) {
  const std::shared_ptr<ChannelState> state = Find(channel);
  if (state == nullptr) return;
  // INVARIANT(leases-end-with-their-channel)
  state->Close();
  if (audit_ != nullptr) audit_->Forget(channel);
  if (channels() > 1) {
    grpc::ClientContext context;
    v1::ForgetChannelRequest request;
    v1::ForgetChannelResponse response;
    request.set_channel(channel);
    state->deliveries().Tell(request.mutable_deliveries());
    (void)supervisor_->ForgetChannel(&context, request, &response);
  }
  // Not before the broker knows what was delivered: until then a revocation is told here.
  Member removed;
  bool last;
  {
    absl::MutexLock lock(&mutex_);
    const auto member = members_.find(channel);
    if (member == members_.end()) return;
    removed = std::move(member->second);
    members_.erase(member);
    last = members_.empty();
  }
  CloseWire(std::move(removed.wire));
  if (last) loop_->Stop();
}

// Waits for the wire's handlers, which the loop must not.
void FamilyServer::CloseWire(std::unique_ptr<WireServer> wire) {
  if (wire == nullptr) return;
  {
    absl::MutexLock lock(&closing_->mutex);
    ++closing_->wires;
  }
  std::thread([wire = std::move(wire), closing = closing_]() mutable {
    wire.reset();
    absl::MutexLock lock(&closing->mutex);
    --closing->wires;
  }).detach();
}

std::shared_ptr<const ChannelState> FamilyServer::Revoke(uint64_t channel) {
  std::shared_ptr<ServedLane> lane;
  std::shared_ptr<ChannelState> state;
  {
    absl::MutexLock lock(&mutex_);
    const auto member = members_.find(channel);
    if (member == members_.end()) return nullptr;
    state = member->second.state;
    state->Revoke();
    lane = member->second.lane;
    // It stays open, as the lane does, and tells who calls again why not.
    if (member->second.wire != nullptr) member->second.wire->Revoke();
  }
  if (lane != nullptr) {
    lane->FailCalls(authority::ToStatus(authority::MakeRefusal(v1::Denial::REVOKED, "", "call")));
  }
  return state;
}

void FamilyServer::Close() {
  std::vector<std::shared_ptr<ServedLane>> lanes;
  std::vector<std::unique_ptr<WireServer>> wires;
  {
    absl::MutexLock lock(&mutex_);
    for (auto& [id, member] : members_) {
      if (member.lane != nullptr) lanes.push_back(member.lane);
      if (member.wire != nullptr) wires.push_back(std::move(member.wire));
    }
  }
  for (const std::shared_ptr<ServedLane>& lane : lanes) lane->Close();
  wires.clear();
  // Handlers of wires that were closed before use what the caller may destroy next.
  absl::MutexLock lock(&closing_->mutex);
  closing_->mutex.Await(absl::Condition(
      +[](Closing* closing)
           ABSL_EXCLUSIVE_LOCKS_REQUIRED(closing->mutex) { return closing->wires == 0; },
      closing_.get()));
}

int FamilyServer::channels() const {
  absl::MutexLock lock(&mutex_);
  return static_cast<int>(members_.size());
}

std::shared_ptr<ChannelState> FamilyServer::Find(uint64_t channel) const {
  absl::MutexLock lock(&mutex_);
  const auto member = members_.find(channel);
  return member == members_.end() ? nullptr : member->second.state;
}

absl::Status FamilyServer::ChargeUpkeep(absl::string_view method, uint64_t units) {
  return calls_.Charge(method, units);
}

absl::StatusOr<std::shared_ptr<const Limits>> FamilyServer::Narrow(ChannelState& channel,
                                                                   const Limits& requested) {
  const std::shared_ptr<const Limits> in_force = channel.limits();
  CB_ASSIGN_OR_RETURN(const std::shared_ptr<const Limits> meet,
                      authority::Narrow(*in_force, requested));
  if (*meet == *in_force) return in_force;
  // INVARIANT(nobody-spins-for-a-stranger)
  CB_RETURN_IF_ERROR(changes_.Charge("Narrow", authority::UpkeepUnits(*meet)));
  grpc::ClientContext context;
  v1::CommitLimitsRequest request;
  v1::CommitLimitsResponse response;
  request.set_channel(channel.id());
  *request.mutable_limits() = meet->ToAny();
  // INVARIANT(limits-never-widen): recorded first, so that no successor has more.
  CB_RETURN_IF_ERROR(FromGrpcStatus(supervisor_->CommitLimits(&context, request, &response)));
  CB_ASSIGN_OR_RETURN(const std::shared_ptr<const Limits> committed,
                      Limits::Compile(*schema_, response.limits()));
  CB_RETURN_IF_ERROR(channel.Install(*committed));
  return channel.limits();
}

absl::StatusOr<ChannelKeeper::Cloned> FamilyServer::Clone(ChannelState& channel,
                                                          const Limits* requested,
                                                          std::shared_ptr<void> bound) {
  if (bound == nullptr) bound = channel.bound();
  // INVARIANT(clones-share-the-budget)
  CB_ASSIGN_OR_RETURN(authority::HeldCharge charge, budget_->ChargeClone());
  std::shared_ptr<const Limits> limits = channel.limits();
  if (requested != nullptr) {
    CB_ASSIGN_OR_RETURN(limits, authority::Narrow(*limits, *requested));
  }
  CB_RETURN_IF_ERROR(changes_.Charge("Clone", authority::UpkeepUnits(*limits)));
  CB_ASSIGN_OR_RETURN(
      transport::LanePair lane,
      transport::MakeLane(takes_descriptors_ ? transport::ClientDescriptors::kAccepted
                                             : transport::ClientDescriptors::kRefused));
  grpc::ClientContext context;
  CallDescriptors descriptors(&context);
  v1::RegisterCloneRequest request;
  v1::RegisterCloneResponse response;
  request.set_parent(channel.id());
  if (requested != nullptr) *request.mutable_limits() = limits->ToAny();
  request.set_ends_with_process(bound != nullptr);
  CB_ASSIGN_OR_RETURN(UniqueFd recorded, Duplicate(lane.service));
  descriptors.Attach(std::move(recorded), request.mutable_service_end());
  CB_RETURN_IF_ERROR(FromGrpcStatus(supervisor_->RegisterClone(&context, request, &response)));
  CB_ASSIGN_OR_RETURN(const std::shared_ptr<const Limits> recorded_limits,
                      Limits::Compile(*schema_, response.limits()));
  // What the broker has recorded, and no more than the parent has here.
  auto state =
      std::make_shared<ChannelState>(response.channel(), *schema_, std::move(limits), budget_,
                                     channel.wire(), this, audit_.get(), std::move(bound));
  CB_RETURN_IF_ERROR(state->Install(*recorded_limits));
  if (channel.revoked()) state->Revoke();
  CB_RETURN_IF_ERROR(Serve(std::move(state), std::move(lane.service), std::move(charge), false));
  return Cloned{response.channel(), std::move(lane.client)};
}

absl::StatusOr<UniqueFd> FamilyServer::OpenWire(ChannelState& channel) {
  std::shared_ptr<ChannelState> state;
  {
    absl::MutexLock lock(&mutex_);
    const auto member = members_.find(channel.id());
    if (member == members_.end()) return absl::UnavailableError("the channel is closed");
    state = member->second.state;
  }
  CB_ASSIGN_OR_RETURN(WireServer::Opened opened, WireServer::Open(service_, std::move(state)));
  std::unique_ptr<WireServer> last;
  {
    absl::MutexLock lock(&mutex_);
    const auto member = members_.find(channel.id());
    if (member == members_.end() || channel.revoked()) {
      last = std::move(opened.server);
    } else {
      last = std::exchange(member->second.wire, std::move(opened.server));
    }
  }
  CloseWire(std::move(last));
  return std::move(opened.client_end);
}

// One at a time: the broker keeps the last that it is sent.
absl::Status FamilyServer::RecordBudget() {
  absl::MutexLock lock(&recording_);
  if (!budget_->snapshot_due()) return absl::OkStatus();  // another thread's covers it
  const BudgetUsage usage = budget_->Snapshot();
  grpc::ClientContext context;
  v1::RecordUsageRequest request;
  v1::RecordUsageResponse response;
  *request.mutable_usage() = ToProto(usage);
  CB_RETURN_IF_ERROR(FromGrpcStatus(supervisor_->RecordUsage(&context, request, &response)));
  budget_->Recorded(usage);
  return absl::OkStatus();
}

}  // namespace capbroker::serving
