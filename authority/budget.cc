#include "authority/budget.h"

#include <time.h>

#include <algorithm>
#include <limits>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "authority/keyed_hash.h"
#include "authority/request_values.h"
#include "authority/sliding_minute.h"
#include "base/status_macros.h"

namespace capbroker::authority {
namespace {

using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::Reflection;

// Capability.Clone: what a refused clone is said to be.
constexpr absl::string_view kClone = "Clone";
constexpr absl::string_view kClonesWithoutRuleField = "clones";
constexpr absl::string_view kLeasesWithoutRuleField = "leases";

// How far a snapshot runs ahead of what is used up: a crash costs up to 1/16.
constexpr uint64_t kSnapshotSteps = 16;

uint64_t SaturatingAdd(uint64_t a, uint64_t b) {
  return b > std::numeric_limits<uint64_t>::max() - a ? std::numeric_limits<uint64_t>::max()
                                                      : a + b;
}

bool PerMinute(v1::BudgetKind kind) {
  return kind == v1::CALLS_PER_MINUTE || kind == v1::OPEN_DESCRIPTORS;
}
// Used up by what is alive, and given back.
bool IsHeld(v1::BudgetKind kind) { return kind == v1::CLONES || kind == v1::LEASES; }
// What a crash must not give back. Clones are charged anew; leases have ended.
bool IsRecorded(v1::BudgetKind kind) { return !IsHeld(kind); }

// The distinct values that `message` holds in fields bounded by the limits field.
void CollectValues(const ServiceSchema& schema, const MessagePlan& plan, const Message& message,
                   int limit, KeyedTextSet& values) {
  const Reflection& reflection = *message.GetReflection();
  std::string scratch;
  for (const FieldPlan& field : plan.fields) {
    if (field.presence && !reflection.HasField(message, field.field)) continue;
    if (field.limit == limit) {
      ForEachValue(field, message, reflection, scratch, [&](const RequestValue& value) {
        values.insert(CanonicalValue(schema.limit_fields()[limit].kind, value));
        return true;
      });
    } else if (field.nested != nullptr) {
      ForEachMessage(field, message, reflection, [&](const Message& nested) {
        CollectValues(schema, *field.nested, nested, limit, values);
        return true;
      });
    }
  }
}

}  // namespace

absl::Duration MonotonicNow() {
  // Also runs while the machine is suspended.
  timespec now = {};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return absl::DurationFromTimespec(now);
}

// What one field of one budget has used up.
struct Budget::Account {
  std::string name;
  v1::BudgetKind kind = v1::BUDGET_KIND_UNSPECIFIED;
  int of = -1;  // DISTINCT_VALUES: index of the limits field
  uint64_t limit = 0;
  uint64_t used = 0;      // of a kind that is not per minute
  uint64_t charged = 0;   // of a kind that is per minute: ever, in this process
  uint64_t recorded = 0;  // what the recorded snapshot admits of `used`, or of `charged`
  SlidingMinute minute;
  KeyedTextSet values;

  bool SnapshotDue() const {
    return IsRecorded(kind) && (PerMinute(kind) ? charged : used) > recorded;
  }
  uint64_t Used(absl::Duration now) { return PerMinute(kind) ? minute.Sum(now) : used; }
};

// What is charged at once, by budget field of the schema.
struct Budget::Charge {
  uint64_t calls = 0;
  uint64_t response_bytes = 0;
  uint64_t descriptors = 0;
  uint64_t clones = 0;
  uint64_t leases = 0;
  // DISTINCT_VALUES: by limits field.
  std::vector<std::pair<int, KeyedTextSet>> values;

  // What it adds to `account`.
  uint64_t AmountFor(const Account& account) const {
    switch (account.kind) {
      case v1::CALLS_PER_MINUTE:
        return calls;
      case v1::RESPONSE_BYTES:
        return response_bytes;
      case v1::OPEN_DESCRIPTORS:
        return descriptors;
      case v1::CLONES:
        return clones;
      case v1::LEASES:
        return leases;
      case v1::DISTINCT_VALUES: {
        uint64_t fresh = 0;
        for (const auto& [of, set] : values) {
          if (of != account.of) continue;
          for (const std::string& value : set) fresh += account.values.contains(value) ? 0 : 1;
        }
        return fresh;
      }
      default:
        return 0;
    }
  }
};

// What all accounts of a family share. One lock for all of them, so that a charge
// to an account and its ancestors is all or nothing.
class Budget::Family {
 public:
  Family(const ServiceSchema& schema, BudgetClock clock)
      : schema_(schema), clock_(std::move(clock)) {}

  const ServiceSchema& schema() const { return schema_; }
  absl::Duration Now() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return clock_(); }
  absl::Mutex& mutex() ABSL_LOCK_RETURNED(mutex_) { return mutex_; }

 private:
  const ServiceSchema& schema_;
  const BudgetClock clock_;
  absl::Mutex mutex_;
};

HeldCharge& HeldCharge::operator=(HeldCharge&& other) noexcept {
  if (this != &other) {
    if (budget_ != nullptr) budget_->Release(kind_);
    budget_ = std::move(other.budget_);
    kind_ = other.kind_;
  }
  return *this;
}

HeldCharge::~HeldCharge() {
  if (budget_ != nullptr) budget_->Release(kind_);
}

Budget::Budget(std::shared_ptr<Family> family, std::shared_ptr<Budget> parent,
               std::vector<Account> accounts)
    : family_(std::move(family)), parent_(std::move(parent)), accounts_(std::move(accounts)) {}

Budget::~Budget() = default;

const ServiceSchema& Budget::schema() const { return family_->schema(); }

absl::StatusOr<std::vector<Budget::Account>> Budget::MakeAccounts(const ServiceSchema& schema,
                                                                  const Message& budget) {
  if (schema.budget_type() == nullptr || budget.GetDescriptor() != schema.budget_type()) {
    return absl::InvalidArgumentError(
        absl::StrCat("budget of ", schema.name(), ": a ", budget.GetTypeName(), " is given"));
  }
  const Reflection& reflection = *budget.GetReflection();
  if (!reflection.GetUnknownFields(budget).empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("budget of ", schema.name(), ": unknown field ",
                     reflection.GetUnknownFields(budget).field(0).number()));
  }
  std::vector<Account> accounts;
  for (const BudgetField& field : schema.budget_fields()) {
    Account account;
    account.name = field.name();
    account.kind = field.kind;
    account.of = field.of;
    account.limit = field.field->cpp_type() == FieldDescriptor::CPPTYPE_UINT32
                        ? reflection.GetUInt32(budget, field.field)
                        : reflection.GetUInt64(budget, field.field);
    if (field.kind == v1::DISTINCT_VALUES && account.limit > kMaxDistinctValues) {
      return absl::InvalidArgumentError(
          absl::StrCat(field.field->full_name(), ": more than ", kMaxDistinctValues));
    }
    accounts.push_back(std::move(account));
  }
  return accounts;
}

absl::StatusOr<std::shared_ptr<Budget>> Budget::Create(const ServiceSchema& schema,
                                                       const Message& budget, BudgetClock clock) {
  CB_ASSIGN_OR_RETURN(std::vector<Account> accounts, MakeAccounts(schema, budget));
  AddMissingRules(accounts);
  auto family = std::make_shared<Family>(schema, std::move(clock));
  return std::shared_ptr<Budget>(new Budget(std::move(family), nullptr, std::move(accounts)));
}

// INVARIANT(clones-share-the-budget): there is no service whose clones, or leases, are unbounded.
void Budget::AddMissingRules(std::vector<Account>& accounts) {
  const auto add = [&accounts](v1::BudgetKind kind, absl::string_view name, uint64_t limit) {
    for (const Account& account : accounts) {
      if (account.kind == kind) return;
    }
    Account missing;
    missing.name = std::string(name);
    missing.kind = kind;
    missing.limit = limit;
    accounts.push_back(std::move(missing));
  };
  add(v1::CLONES, kClonesWithoutRuleField, kClonesWithoutRule);
  add(v1::LEASES, kLeasesWithoutRuleField, kLeasesWithoutRule);
}

std::shared_ptr<Budget> Budget::CreateDefault(const ServiceSchema& schema, BudgetClock clock) {
  std::vector<Account> accounts;
  if (const std::unique_ptr<Message> budget = DefaultBudget(schema)) {
    // The schema has checked the defaults.
    accounts = *MakeAccounts(schema, *budget);
  }
  AddMissingRules(accounts);
  auto family = std::make_shared<Family>(schema, std::move(clock));
  return std::shared_ptr<Budget>(new Budget(std::move(family), nullptr, std::move(accounts)));
}

absl::StatusOr<std::shared_ptr<Budget>> Budget::Share(std::shared_ptr<Budget> parent,
                                                      const Message& budget) {
  CB_ASSIGN_OR_RETURN(std::vector<Account> accounts, MakeAccounts(parent->schema(), budget));
  std::shared_ptr<Family> family = parent->family_;
  return std::shared_ptr<Budget>(
      new Budget(std::move(family), std::move(parent), std::move(accounts)));
}

std::optional<Refusal> Budget::Apply(absl::string_view method, const Charge& charge) {
  absl::MutexLock lock(&family_->mutex());
  const absl::Duration now = family_->Now();
  // INVARIANT(clones-share-the-budget): a share is charged to the whole line above it.
  for (Budget* budget = this; budget != nullptr; budget = budget->parent_.get()) {
    for (Account& account : budget->accounts_) {
      const uint64_t amount = charge.AmountFor(account);
      if (amount != 0 && SaturatingAdd(account.Used(now), amount) > account.limit) {
        return MakeRefusal(v1::Denial::BUDGET_EXHAUSTED, account.name, method);
      }
    }
  }
  for (Budget* budget = this; budget != nullptr; budget = budget->parent_.get()) {
    for (Account& account : budget->accounts_) {
      const uint64_t amount = charge.AmountFor(account);
      if (amount == 0) continue;
      if (PerMinute(account.kind)) {
        account.minute.Add(now, amount);
        account.charged = SaturatingAdd(account.charged, amount);
        continue;
      }
      account.used += amount;
      for (const auto& [of, set] : charge.values) {
        if (account.kind == v1::DISTINCT_VALUES && of == account.of) {
          account.values.insert(set.begin(), set.end());
        }
      }
    }
  }
  return std::nullopt;
}

void Budget::CollectDistinct(const MethodSchema& method, const Message& request,
                             Charge& charge) const {
  for (const BudgetField& field : schema().budget_fields()) {
    if (field.kind != v1::DISTINCT_VALUES) continue;
    KeyedTextSet values;
    CollectValues(schema(), method.plan(), request, field.of, values);
    if (!values.empty()) charge.values.emplace_back(field.of, std::move(values));
  }
}

std::optional<Refusal> Budget::ChargeCall(const MethodSchema& method, const Message& request) {
  Charge charge;
  charge.calls = 1;
  CollectDistinct(method, request, charge);
  return Apply(method.name(), charge);
}

std::optional<Refusal> Budget::ChargeStream(const MethodSchema& method) {
  Charge charge;
  charge.calls = 1;
  return Apply(method.name(), charge);
}

std::optional<Refusal> Budget::ChargeStreamed(const MethodSchema& method, const Message& request) {
  Charge charge;
  CollectDistinct(method, request, charge);
  return charge.values.empty() ? std::nullopt : Apply(method.name(), charge);
}

std::optional<Refusal> Budget::ChargeResponse(const MethodSchema& method, uint64_t bytes,
                                              uint64_t descriptors) {
  Charge charge;
  charge.response_bytes = bytes;
  charge.descriptors = descriptors;
  return Apply(method.name(), charge);
}

absl::StatusOr<HeldCharge> Budget::ChargeClone() {
  Charge charge;
  charge.clones = 1;
  if (const std::optional<Refusal> refusal = Apply(kClone, charge)) return ToStatus(*refusal);
  return HeldCharge(shared_from_this(), v1::CLONES);
}

absl::StatusOr<HeldCharge> Budget::ChargeLease(const MethodSchema& method) {
  Charge charge;
  charge.leases = 1;
  if (const std::optional<Refusal> refusal = Apply(method.name(), charge)) {
    return ToStatus(*refusal);
  }
  return HeldCharge(shared_from_this(), v1::LEASES);
}

void Budget::Release(v1::BudgetKind kind) {
  absl::MutexLock lock(&family_->mutex());
  for (Budget* budget = this; budget != nullptr; budget = budget->parent_.get()) {
    for (Account& account : budget->accounts_) {
      if (account.kind == kind) --account.used;
    }
  }
}

BudgetUsage Budget::Snapshot() {
  absl::MutexLock lock(&family_->mutex());
  const absl::Duration now = family_->Now();
  BudgetUsage usage;
  for (Account& account : accounts_) {
    if (!IsRecorded(account.kind)) continue;
    BudgetUsage::Field& field = usage.fields.emplace_back();
    field.name = account.name;
    const uint64_t step = std::max<uint64_t>(1, account.limit / kSnapshotSteps);
    // Ahead of what is used, and never beyond the limit.
    field.used = std::min(account.limit, SaturatingAdd(account.Used(now), step));
    if (PerMinute(account.kind)) {
      // What is charged from here on is no more than `step`, so that no later minute has more.
      field.covers = SaturatingAdd(account.charged, step);
    } else {
      field.used = std::max(account.recorded, field.used);
    }
    field.values.assign(account.values.begin(), account.values.end());
  }
  return usage;
}

void Budget::Recorded(const BudgetUsage& usage) {
  absl::MutexLock lock(&family_->mutex());
  for (const BudgetUsage::Field& field : usage.fields) {
    for (Account& account : accounts_) {
      if (account.name != field.name) continue;
      const uint64_t admitted = PerMinute(account.kind) ? field.covers : field.used;
      account.recorded = std::max(account.recorded, admitted);
    }
  }
}

bool Budget::snapshot_due() const {
  absl::MutexLock lock(&family_->mutex());
  for (const Budget* budget = this; budget != nullptr; budget = budget->parent_.get()) {
    for (const Account& account : budget->accounts_) {
      if (account.SnapshotDue()) return true;
    }
  }
  return false;
}

absl::Status Budget::Restore(const BudgetUsage& usage) {
  absl::MutexLock lock(&family_->mutex());
  for (const BudgetUsage::Field& field : usage.fields) {
    const bool known =
        std::any_of(accounts_.begin(), accounts_.end(),
                    [&field](const Account& account) { return account.name == field.name; });
    if (!known) {
      return absl::InvalidArgumentError(
          absl::StrCat("budget of ", schema().name(), ": no field ", field.name));
    }
  }
  const absl::Duration now = family_->Now();
  for (Account& account : accounts_) {
    if (!IsRecorded(account.kind)) continue;
    // What nobody recorded counts as used up.
    uint64_t used = account.limit;
    for (const BudgetUsage::Field& field : usage.fields) {
      if (field.name != account.name) continue;
      used = field.used;
      account.values.insert(field.values.begin(), field.values.end());
    }
    if (PerMinute(account.kind)) {
      account.minute.Add(now, used);
    } else {
      account.used = account.recorded = used;
    }
  }
  return absl::OkStatus();
}

uint64_t Budget::Left(absl::string_view field) {
  absl::MutexLock lock(&family_->mutex());
  const absl::Duration now = family_->Now();
  std::optional<uint64_t> left;
  for (Budget* budget = this; budget != nullptr; budget = budget->parent_.get()) {
    for (Account& account : budget->accounts_) {
      if (account.name != field) continue;
      const uint64_t used = account.Used(now);
      const uint64_t here = account.limit - std::min(used, account.limit);
      left = std::min(left.value_or(here), here);
    }
  }
  return left.value_or(0);
}

std::unique_ptr<Message> DefaultBudget(const ServiceSchema& schema) {
  if (schema.budget_type() == nullptr) return nullptr;
  std::unique_ptr<Message> budget = schema.NewBudget();
  const Reflection& reflection = *budget->GetReflection();
  for (const BudgetField& field : schema.budget_fields()) {
    if (field.field->cpp_type() == FieldDescriptor::CPPTYPE_UINT32) {
      reflection.SetUInt32(budget.get(), field.field, static_cast<uint32_t>(field.default_value));
    } else {
      reflection.SetUInt64(budget.get(), field.field, field.default_value);
    }
  }
  return budget;
}

}  // namespace capbroker::authority
