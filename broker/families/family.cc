#include "broker/families/family.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "authority/denial.h"
#include "base/status_macros.h"
#include "transport/packet.h"

namespace capbroker::broker {
namespace {

using authority::Limits;
using google::protobuf::Any;

// Bytes of channel records in one installing packet, beside what else it says.
constexpr size_t kBatchSize = transport::kMaxInlineMessage - 8 * 1024;
constexpr size_t kBatchChannels = transport::kMaxDescriptors - 4;  // upstream, settings, ...

absl::Status CheckSize(const Limits& limits) {
  if (limits.message() == nullptr || limits.message()->ByteSizeLong() <= kMaxLimitsSize) {
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(
      absl::StrCat("limits larger than ", kMaxLimitsSize, " bytes"));
}

Any ToAny(const Limits& limits) { return limits.message() == nullptr ? Any() : limits.ToAny(); }

// The budget that is in force, as an account and as a message.
struct CheckedBudget {
  std::shared_ptr<authority::Budget> account;
  Any message;
};

absl::StatusOr<CheckedBudget> CheckBudget(const authority::ServiceSchema& schema,
                                          const Any* budget) {
  CheckedBudget checked;
  if (budget == nullptr) {
    checked.account = authority::Budget::CreateDefault(schema);
    if (const auto message = authority::DefaultBudget(schema); message != nullptr) {
      checked.message.PackFrom(*message);
    }
    return checked;
  }
  if (schema.budget_type() == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(schema.name(), " has no budget"));
  }
  const std::unique_ptr<google::protobuf::Message> message = schema.NewBudget();
  std::string type;
  if (!Any::ParseAnyTypeUrl(budget->type_url(), &type) ||
      type != schema.budget_type()->full_name() || !message->ParseFromString(budget->value())) {
    return absl::InvalidArgumentError(
        absl::StrCat("budget is no ", schema.budget_type()->full_name()));
  }
  CB_ASSIGN_OR_RETURN(checked.account, authority::Budget::Create(schema, *message));
  checked.message = *budget;
  return checked;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Family>> Family::Create(uint64_t id,
                                                       const serving::ServiceDefinition& service,
                                                       const authority::ServiceSchema& schema,
                                                       const Any& limits, const Any* budget,
                                                       bool wire, UniqueFd service_end) {
  auto family = std::unique_ptr<Family>(new Family(id, service, schema));
  family->wire_ = wire;
  ChannelRecord first;
  first.id = family->next_channel_++;
  first.service_end = std::move(service_end);
  if (limits.type_url().empty() && limits.value().empty()) {
    // INVARIANT(empty-grants-nothing)
    first.limits = Limits::Nothing(schema);
  } else {
    CB_ASSIGN_OR_RETURN(first.limits, Limits::Compile(schema, limits));
  }
  CB_RETURN_IF_ERROR(CheckSize(*first.limits));
  CB_ASSIGN_OR_RETURN(CheckedBudget checked, CheckBudget(schema, budget));
  family->clones_ = std::move(checked.account);
  family->budget_ = std::move(checked.message);
  family->opened_with_ = first.limits;
  family->channels_.emplace(first.id, std::move(first));
  return family;
}

absl::StatusOr<ChannelRecord*> Family::Find(uint64_t channel) {
  const auto found = channels_.find(channel);
  if (found == channels_.end() || found->second.closed) {
    return absl::NotFoundError("channel: not of this family");
  }
  if (found->second.revoked) {
    return authority::ToStatus(authority::MakeRefusal(v1::Denial::REVOKED, "", ""));
  }
  return &found->second;
}

absl::StatusOr<std::shared_ptr<const Limits>> Family::MeetWith(const ChannelRecord& record,
                                                               const Any& limits) const {
  CB_ASSIGN_OR_RETURN(const std::shared_ptr<const Limits> requested,
                      Limits::Compile(schema_, limits));
  // INVARIANT(limits-never-widen): computed here, from the record.
  CB_ASSIGN_OR_RETURN(std::shared_ptr<const Limits> meet,
                      authority::Narrow(*record.limits, *requested));
  CB_RETURN_IF_ERROR(CheckSize(*meet));
  return meet;
}

absl::StatusOr<Any> Family::CommitLimits(uint64_t channel, const Any& limits) {
  CB_ASSIGN_OR_RETURN(ChannelRecord * record, Find(channel));
  // INVARIANT(nobody-spins-for-a-stranger)
  CB_RETURN_IF_ERROR(changes_.Charge("Narrow", authority::UpkeepUnits(limits.value().size())));
  CB_ASSIGN_OR_RETURN(record->limits, MeetWith(*record, limits));
  return ToAny(*record->limits);
}

absl::StatusOr<const ChannelRecord*> Family::RegisterClone(uint64_t parent, const Any* limits,
                                                           UniqueFd service_end,
                                                           bool ends_with_process) {
  CB_ASSIGN_OR_RETURN(const ChannelRecord* original, Find(parent));
  if (channels_.size() >= kMaxChannels) {
    return absl::ResourceExhaustedError(
        absl::StrCat("clone channel: the family has ", kMaxChannels, " channels"));
  }
  CB_RETURN_IF_ERROR(
      changes_.Charge("Clone", limits == nullptr ? authority::UpkeepUnits(*original->limits)
                                                 : authority::UpkeepUnits(limits->value().size())));
  ChannelRecord clone;
  clone.parent = parent;
  clone.holder = original->holder;
  clone.limits = original->limits;
  if (limits != nullptr) {
    CB_ASSIGN_OR_RETURN(clone.limits, MeetWith(*original, *limits));
  }
  // INVARIANT(clones-share-the-budget): charged here too, where a service process
  // that was taken over has no say.
  CB_ASSIGN_OR_RETURN(clone.charge, clones_->ChargeClone());
  clone.id = next_channel_++;
  clone.service_end = std::move(service_end);
  clone.ends_with_process = ends_with_process || original->ends_with_process;
  const uint64_t id = clone.id;
  return &channels_.emplace(id, std::move(clone)).first->second;
}

absl::Status Family::Forget(uint64_t channel, const Delivered::Said& said) {
  const auto found = channels_.find(channel);
  if (found == channels_.end() || found->second.closed) {
    return absl::NotFoundError("channel: not of this family");
  }
  ChannelRecord& record = found->second;
  record.closed = true;
  record.delivered.Add(schema_.descriptor(), said);
  record.service_end.Reset();
  record.charge = authority::HeldCharge();
  if (record.pins == 0) Drop(found);
  return absl::OkStatus();
}

void Family::EndWithProcess() {
  std::vector<uint64_t> ending;
  for (const auto& [id, record] : channels_) {
    if (record.ends_with_process && !record.closed) ending.push_back(id);
  }
  for (const uint64_t id : ending) (void)Forget(id);
}

void Family::Drop(std::map<uint64_t, ChannelRecord>::iterator gone) {
  for (auto& [id, record] : channels_) {
    if (record.parent == gone->first) record.parent = gone->second.parent;
  }
  const auto parent = channels_.find(gone->second.parent);
  (parent == channels_.end() ? delivered_ : parent->second.delivered).Add(gone->second.delivered);
  if (gone->second.holder != nullptr) departed_.emplace_back(gone->first, gone->second.holder);
  if (departed_.size() > kMaxDeparted) departed_.pop_front();
  channels_.erase(gone);
}

void Family::SetHolder(uint64_t channel, std::shared_ptr<const Holder> holder) {
  const auto found = channels_.find(channel);
  if (found != channels_.end()) found->second.holder = std::move(holder);
}

std::shared_ptr<const Holder> Family::HolderOf(uint64_t channel) const {
  if (const auto found = channels_.find(channel); found != channels_.end()) {
    return found->second.holder;
  }
  for (const auto& [id, holder] : departed_) {
    if (id == channel) return holder;
  }
  return nullptr;
}

absl::Status Family::Pin(uint64_t channel) {
  const auto found = channels_.find(channel);
  if (found == channels_.end()) return absl::NotFoundError("channel: not of this family");
  ++found->second.pins;
  return absl::OkStatus();
}

void Family::Unpin(uint64_t channel) {
  const auto found = channels_.find(channel);
  if (found == channels_.end()) return;
  if (--found->second.pins == 0 && found->second.closed) Drop(found);
}

absl::StatusOr<std::vector<uint64_t>> Family::Revoke(uint64_t channel) {
  if (channel != kFirstChannel && !channels_.contains(channel)) {
    return absl::NotFoundError("revoke: the channel is gone");
  }
  std::vector<uint64_t> alive;
  for (const uint64_t id : Below(channel)) {
    ChannelRecord& record = channels_.at(id);
    if (!std::exchange(record.revoked, true) && !record.closed) alive.push_back(id);
  }
  return alive;
}

std::vector<uint64_t> Family::Below(uint64_t channel) const {
  std::set<uint64_t> below;
  // A clone's number is higher than its parent's.
  for (const auto& [id, record] : channels_) {
    if (channel == kFirstChannel || id == channel || below.contains(record.parent))
      below.insert(id);
  }
  return {below.begin(), below.end()};
}

std::map<uint64_t, Delivered> Family::LeftBehind(uint64_t channel) const {
  std::map<uint64_t, Delivered> left;
  for (const uint64_t id : Below(channel)) left[id] = channels_.at(id).delivered;
  if (channel == kFirstChannel) left[kFirstChannel].Add(delivered_);
  return left;
}

size_t Family::open() const {
  return static_cast<size_t>(std::count_if(channels_.begin(), channels_.end(),
                                           [](const auto& entry) { return !entry.second.closed; }));
}

std::optional<google::protobuf::Any> Family::opened_with() const {
  const auto first = std::find_if(channels_.begin(), channels_.end(),
                                  [](const auto& entry) { return !entry.second.closed; });
  if (first != channels_.end() && first->second.limits == opened_with_) return std::nullopt;
  return ToAny(*opened_with_);
}

Family::Installation Family::Install(uint64_t after, uint64_t last, bool successor,
                                     const Memories& memories) const {
  Installation batch;
  size_t size = 0;
  for (auto next = channels_.upper_bound(after); next != channels_.end() && next->first <= last;
       ++next) {
    const auto& [id, record] = *next;
    if (record.closed) continue;
    v1::ChannelRecord channel;
    channel.set_channel(id);
    channel.set_parent(record.parent);
    *channel.mutable_limits() = ToAny(*record.limits);
    channel.set_revoked(record.revoked);
    size += channel.ByteSizeLong();
    if (batch.descriptors.size() == kBatchChannels ||
        (!batch.descriptors.empty() && size > kBatchSize)) {
      batch.request.set_more(true);
      break;
    }
    batch.last = id;
    batch.descriptors.push_back(record.service_end);
    channel.mutable_service_end()->set_slot(static_cast<uint32_t>(batch.descriptors.size()));
    *batch.request.add_channels() = std::move(channel);
  }
  if (!budget_.type_url().empty()) *batch.request.mutable_budget() = budget_;
  batch.request.set_wire(wire_);
  batch.request.set_successor(successor);
  const auto attach = [&batch](FdRef fd, v1::Descriptor* field) {
    batch.descriptors.push_back(fd);
    field->set_slot(static_cast<uint32_t>(batch.descriptors.size()));
  };
  if (memories.usage.valid()) attach(memories.usage, batch.request.mutable_usage());
  if (memories.settings.valid()) attach(memories.settings, batch.request.mutable_settings());
  if (memories.opened_with.valid()) {
    attach(memories.opened_with, batch.request.mutable_opened_with());
  }
  if (after == 0 && inputs_.upstream.valid()) {
    attach(inputs_.upstream, batch.request.mutable_upstream());
  }
  return batch;
}

}  // namespace capbroker::broker
