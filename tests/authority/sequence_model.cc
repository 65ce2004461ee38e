#include "tests/authority/sequence_model.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "authority/budget.h"
#include "serving/channel/channel_state.h"
#include "tests/authority/naive_check.h"

namespace capbroker::testing {
namespace {

using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;

constexpr uint64_t kEver = 1'000'000;

bool PerMinute(const authority::BudgetField& field) {
  return field.kind == capbroker::v1::CALLS_PER_MINUTE ||
         field.kind == capbroker::v1::OPEN_DESCRIPTORS;
}

}  // namespace

BudgetModel::BudgetModel(const authority::ServiceSchema& schema, const Message& budget)
    : schema_(schema), clones_limit_(authority::kClonesWithoutRule) {
  for (const authority::BudgetField& field : schema.budget_fields()) {
    Account account = {.field = &field, .limit = 0, .used = {}, .values = {}};
    account.limit = field.field->cpp_type() == FieldDescriptor::CPPTYPE_UINT32
                        ? budget.GetReflection()->GetUInt32(budget, field.field)
                        : budget.GetReflection()->GetUInt64(budget, field.field);
    if (field.kind == capbroker::v1::CLONES) clones_limit_ = account.limit;
    accounts_.push_back(std::move(account));
  }
}

uint64_t BudgetModel::Used(const Account& account, uint64_t seconds) const {
  if (account.field->kind == capbroker::v1::DISTINCT_VALUES) return account.values.size();
  uint64_t sum = 0;
  for (const auto& [when, amount] : account.used) sum += now_ - when < seconds ? amount : 0;
  return sum;
}

std::set<std::string> BudgetModel::Values(const Account& account, const Message& request) const {
  if (account.field->kind != capbroker::v1::DISTINCT_VALUES) return {};
  return NaiveDistinctValues(*schema_.limit_fields()[account.field->of].field, request);
}

void BudgetModel::AddCall(const Message& request) {
  for (Account& account : accounts_) {
    if (account.field->kind == capbroker::v1::CALLS_PER_MINUTE) account.used.emplace_back(now_, 1);
    account.values.merge(Values(account, request));
  }
}

void BudgetModel::AddResponse(uint64_t bytes, uint64_t descriptors) {
  for (Account& account : accounts_) {
    if (account.field->kind == capbroker::v1::RESPONSE_BYTES) {
      account.used.emplace_back(now_, bytes);
    } else if (account.field->kind == capbroker::v1::OPEN_DESCRIPTORS) {
      account.used.emplace_back(now_, descriptors);
    }
  }
}

std::optional<std::string> BudgetModel::Exceeded(uint64_t clones) const {
  for (const Account& account : accounts_) {
    const uint64_t used = Used(account, PerMinute(*account.field) ? 60 : kEver);
    if (used > account.limit) {
      return absl::StrCat("used up ", used, " of budget.", account.field->name(), ", which is ",
                          account.limit);
    }
  }
  if (clones > clones_limit_) return absl::StrCat(clones, " clones of ", clones_limit_);
  return std::nullopt;
}

// What is per minute must be refused for 60 seconds, and may be for up to 62.
bool BudgetModel::RefusesCall(const Message& request) const {
  return std::any_of(accounts_.begin(), accounts_.end(), [&](const Account& account) {
    std::set<std::string> values = Values(account, request);
    values.insert(account.values.begin(), account.values.end());
    const bool calls = account.field->kind == capbroker::v1::CALLS_PER_MINUTE;
    return values.size() > account.limit || (calls && Used(account, 62) + 1 > account.limit);
  });
}

bool BudgetModel::RefusesResponse(uint64_t bytes, uint64_t descriptors) const {
  return std::any_of(accounts_.begin(), accounts_.end(), [&](const Account& account) {
    if (account.field->kind == capbroker::v1::RESPONSE_BYTES) {
      return Used(account, kEver) + bytes > account.limit;
    }
    return account.field->kind == capbroker::v1::OPEN_DESCRIPTORS &&
           Used(account, 62) + descriptors > account.limit;
  });
}

bool BudgetModel::RefusesClone(uint64_t clones) const { return clones + 1 > clones_limit_; }

SequenceRun::SequenceRun(const authority::ServiceSchema& schema, const Sequence& sequence,
                         About about, Compared& compared)
    : schema_(schema),
      sequence_(sequence),
      about_(about),
      compared_(compared),
      family_(schema, *sequence.messages[0], *sequence.messages[1]),
      budget_(schema, *sequence.messages[1]) {
  channels_.push_back({.number = broker::kFirstChannel,
                       .parent = 0,
                       .may_ask = AskableWithin(*sequence.messages[0])});
}

const Message& SequenceRun::limits(size_t index) const {
  return *sequence_.messages[2 + index % Sequence::kLimits];
}

const Message& SequenceRun::request(size_t index) const {
  return *sequence_.messages[2 + Sequence::kLimits + index];
}

std::vector<bool> SequenceRun::AskableWithin(const Message& limits) const {
  std::vector<bool> askable;
  for (size_t i = 0; i < Sequence::kRequests; ++i) {
    askable.push_back(NaivelyAllows(limits, sequence_.methods[i]->descriptor(), request(i)));
  }
  return askable;
}

uint64_t SequenceRun::OpenClones() const {
  return static_cast<uint64_t>(
      std::count_if(channels_.begin(), channels_.end(), [](const ModelChannel& channel) {
        return channel.open && channel.number != broker::kFirstChannel;
      }));
}

std::optional<std::string> SequenceRun::Take(const Step& step) {
  ModelChannel& channel = channels_[step.channel % channels_.size()];
  Failure failure;
  switch (step.kind) {
    case Step::Kind::kNarrow:
      if (channel.open) failure = Narrow(step, channel);
      break;
    case Step::Kind::kClone:
      if (channel.open) failure = Clone(step, channel);
      break;
    case Step::Kind::kAsk:
      if (channel.open) failure = Ask(step, channel);
      break;
    case Step::Kind::kRevoke:
      Revoke(step, channel);
      break;
    case Step::Kind::kClose:
      if (channel.open) over_ = family_.Close(channel.number);
      channel.open = false;
      break;
    case Step::Kind::kCrash:
      family_.CrashAndRestart();
      break;
    case Step::Kind::kWait:
      family_.Advance(absl::Seconds(static_cast<int64_t>(step.amount)));
      budget_.Wait(step.amount);
      break;
  }
  crashed_ = crashed_ || step.kind == Step::Kind::kCrash || step.crash != Crash::kNone;
  if (failure.has_value() || over_) return failure;
  failure = budget_.Exceeded(OpenClones());
  return failure.has_value() || about_ == About::kBudget ? failure : CompareAll();
}

SequenceRun::Failure SequenceRun::Narrow(const Step& step, ModelChannel& channel) {
  const absl::Status narrowed = family_.Narrow(channel.number, limits(step.message), step.crash);
  if (!narrowed.ok() && !channel.revoked && step.crash == Crash::kNone) {
    return absl::StrCat("narrowing says ", narrowed.ToString());
  }
  if (channel.revoked || step.crash == Crash::kBeforeItIsRecorded) return std::nullopt;
  const std::vector<bool> askable = AskableWithin(limits(step.message));
  for (size_t i = 0; i < askable.size(); ++i) {
    channel.may_ask[i] = channel.may_ask[i] && askable[i];
  }
  return std::nullopt;
}

SequenceRun::Failure SequenceRun::Clone(const Step& step, ModelChannel& channel) {
  const Message* const narrower = step.message % 2 == 0 ? nullptr : &limits(step.message);
  const absl::StatusOr<uint64_t> clone = family_.Clone(channel.number, narrower, step.crash);
  if (!clone.ok()) {
    const bool expected =
        channel.revoked || step.crash != Crash::kNone ||
        (absl::IsResourceExhausted(clone.status()) && budget_.RefusesClone(OpenClones()));
    if (expected) return std::nullopt;
    return absl::StrCat("cloning says ", clone.status().ToString());
  }
  if (channel.revoked) return "a revoked channel was cloned";
  if (budget_.RefusesClone(OpenClones())) return "one clone too many";
  for (const ModelChannel& other : channels_) {
    if (other.number == *clone) return "the number was given before";
  }
  ModelChannel made = {.number = *clone, .parent = channel.number, .may_ask = channel.may_ask};
  if (narrower != nullptr) {
    const std::vector<bool> askable = AskableWithin(*narrower);
    for (size_t i = 0; i < askable.size(); ++i) made.may_ask[i] = made.may_ask[i] && askable[i];
  }
  channels_.push_back(std::move(made));
  return std::nullopt;
}

SequenceRun::Failure SequenceRun::Ask(const Step& step, const ModelChannel& channel) {
  const size_t index = step.message % Sequence::kRequests;
  const bool may = channel.may_ask[index] && !channel.revoked;
  const FamilyUnderTest::Answer answer =
      family_.Ask(channel.number, *sequence_.methods[index], request(index), step.amount,
                  step.descriptors, step.crash);
  ++compared_.asked;
  if (absl::IsPermissionDenied(answer.admitted) == may) {
    return absl::StrCat("asked for ", index, ": ", answer.admitted.ToString());
  }
  if (!may) return std::nullopt;
  // After a crash somewhat more counts as used up than was.
  const bool exactly = !crashed_ && step.crash == Crash::kNone;
  // What is admitted although it is too much is for Exceeded() to see.
  if (exactly && !answer.admitted.ok() && !budget_.RefusesCall(request(index))) {
    return absl::StrCat("budget for ", index, ": ", answer.admitted.ToString());
  }
  if (!answer.admitted.ok()) return std::nullopt;
  ++compared_.admitted;
  compared_.admitted_after_crash += crashed_ ? 1 : 0;
  budget_.AddCall(request(index));
  if (exactly && !answer.responded.ok() &&
      !budget_.RefusesResponse(step.amount, step.descriptors)) {
    return absl::StrCat("response: ", answer.responded.ToString());
  }
  if (answer.responded.ok()) budget_.AddResponse(step.amount, step.descriptors);
  return std::nullopt;
}

void SequenceRun::Revoke(const Step& step, const ModelChannel& channel) {
  const bool all = channel.number == broker::kFirstChannel;
  if (!channel.open && !all) return;
  family_.Revoke(channel.number, step.crash);
  std::set<uint64_t> revoked = {channel.number};
  // A clone comes after its parent.
  for (ModelChannel& each : channels_) {
    if (!all && !revoked.contains(each.number) && !revoked.contains(each.parent)) continue;
    revoked.insert(each.number);
    each.revoked = true;
  }
}

std::optional<std::string> SequenceRun::CompareAll() {
  for (const ModelChannel& channel : channels_) {
    const std::shared_ptr<serving::ChannelState> state = family_.State(channel.number);
    if ((state != nullptr) != channel.open) {
      return absl::StrCat("channel ", channel.number, state != nullptr ? " is" : " is not",
                          " served");
    }
    if (state == nullptr) continue;
    for (size_t i = 0; i < Sequence::kRequests; ++i) {
      const bool may = channel.may_ask[i] && !channel.revoked;
      const bool does = !state->revoked() &&
                        !state->limits()->Check(*sequence_.methods[i], request(i)).has_value();
      ++compared_.answers;
      compared_.allowed += does ? 1 : 0;
      if (may == does) continue;
      return absl::StrCat("channel ", channel.number, does ? " allows" : " denies", " request ", i);
    }
  }
  return std::nullopt;
}

}  // namespace capbroker::testing
