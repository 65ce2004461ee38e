// Budgets: what a family of channels may use up.
//
// Limits say what may be asked, a budget how much. It belongs to the family and
// not to a channel, because a clone is free to make: if each clone had its own
// budget, cloning would multiply it. So all channels of a family hold the same
// `Budget`, or a `Share` of it: a smaller account that charges itself and every
// ancestor, all or nothing.
//
//   auto budget = Budget::Create(schema, message);
//   if (auto refusal = (*budget)->ChargeCall(method, request)) ...
//
// CALLS_PER_MINUTE and OPEN_DESCRIPTORS: in no 60 seconds more than the budget
// says (counted by the second, and forgotten after 61). DISTINCT_VALUES and
// RESPONSE_BYTES: for the family's life. CLONES and LEASES: alive at the same time.
// A service without a rule of a kind doesn't bound it, except clones, 16, and leases, 128.
//
// After a crash: a snapshot admits somewhat more than was used, and Restore takes
// all of it for used, what is per minute as of that moment. Whenever a charge goes
// beyond what the last recorded snapshot admits, `snapshot_due()` says so, and the
// service process sends a new one to the broker before it acts on the call; so no
// crash gives anything back, and one before the first charge takes nothing.
//
// Lives in: the service process; the broker keeps the last snapshot. Thread-safe.
// The schema must outlive it.
#ifndef AUTHORITY_BUDGET_H_
#define AUTHORITY_BUDGET_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "authority/denial.h"
#include "authority/schema.h"
#include "google/protobuf/message.h"

namespace capbroker::authority {

inline constexpr uint64_t kClonesWithoutRule = 16;
inline constexpr uint64_t kLeasesWithoutRule = 128;

// Time since some fixed point; never goes back.
using BudgetClock = std::function<absl::Duration()>;
absl::Duration MonotonicNow();

// What an account has used up, by field of the budget message.
struct BudgetUsage {
  struct Field {
    std::string name;
    uint64_t used = 0;
    std::vector<std::string> values;  // DISTINCT_VALUES: those that were counted
    // Per minute: how much in all the account may have charged until the next snapshot
    // is due. Means something to that account alone.
    uint64_t covers = 0;
  };
  std::vector<Field> fields;
};

class Budget;

// The budget's room for something alive, a clone or a lease; gives the room back when it
// is gone.
class HeldCharge {
 public:
  HeldCharge() = default;
  HeldCharge(HeldCharge&& other) noexcept = default;
  HeldCharge& operator=(HeldCharge&& other) noexcept;
  ~HeldCharge();

 private:
  friend class Budget;
  HeldCharge(std::shared_ptr<Budget> budget, v1::BudgetKind kind)
      : budget_(std::move(budget)), kind_(kind) {}
  std::shared_ptr<Budget> budget_;
  v1::BudgetKind kind_ = v1::BUDGET_KIND_UNSPECIFIED;
};

class Budget : public std::enable_shared_from_this<Budget> {
 public:
  // A family's account. A field that is not set is 0: nothing to use up.
  // INVALID_ARGUMENT: another type, an unknown field, too large a value.
  static absl::StatusOr<std::shared_ptr<Budget>> Create(const ServiceSchema& schema,
                                                        const google::protobuf::Message& budget,
                                                        BudgetClock clock = MonotonicNow);
  // With the defaults of the service's proto.
  static std::shared_ptr<Budget> CreateDefault(const ServiceSchema& schema,
                                               BudgetClock clock = MonotonicNow);
  // A part of `parent`, for one clone: bounded by `budget` and by what the parent
  // has left.
  static absl::StatusOr<std::shared_ptr<Budget>> Share(std::shared_ptr<Budget> parent,
                                                       const google::protobuf::Message& budget);

  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;
  ~Budget();

  // For a request that the limits allowed: one call and its distinct values.
  // Nothing is charged when it is refused.
  std::optional<Refusal> ChargeCall(const MethodSchema& method,
                                    const google::protobuf::Message& request);
  // For each message of a stream of requests: its distinct values. The call itself
  // is charged with ChargeStream.
  std::optional<Refusal> ChargeStreamed(const MethodSchema& method,
                                        const google::protobuf::Message& request);
  // For a call whose requests are a stream, before the first of them.
  std::optional<Refusal> ChargeStream(const MethodSchema& method);
  // For each response message, before it is sent.
  std::optional<Refusal> ChargeResponse(const MethodSchema& method, uint64_t bytes,
                                        uint64_t descriptors);
  // RESOURCE_EXHAUSTED with a denial when the family has no room for one more.
  absl::StatusOr<HeldCharge> ChargeClone();
  // The same for a connection that `method` is about to lease.
  absl::StatusOr<HeldCharge> ChargeLease(const MethodSchema& method);

  // What this account, without its ancestors, may have used up by the time that
  // the next snapshot is due.
  BudgetUsage Snapshot();
  // Tells that `usage` would survive a crash of this process.
  void Recorded(const BudgetUsage& usage);
  // Whether this account or an ancestor has used up more than its recorded snapshot
  // admits.
  bool snapshot_due() const;
  // Takes over `usage` in a new process, before anything is charged. What `usage` says
  // nothing about counts as used up. Clones are not restored: each one that is handed
  // over is charged anew. Leases end with their process.
  // INVALID_ARGUMENT: a field that the service doesn't have.
  absl::Status Restore(const BudgetUsage& usage);

  // What is left of a field of the budget message now, ancestors included; 0 for
  // a field that the service doesn't have.
  uint64_t Left(absl::string_view field);

  const ServiceSchema& schema() const;

 private:
  friend class HeldCharge;
  class Family;
  struct Account;
  struct Charge;

  Budget(std::shared_ptr<Family> family, std::shared_ptr<Budget> parent,
         std::vector<Account> accounts);
  static absl::StatusOr<std::vector<Account>> MakeAccounts(const ServiceSchema& schema,
                                                           const google::protobuf::Message& budget);
  static void AddMissingRules(std::vector<Account>& accounts);
  void CollectDistinct(const MethodSchema& method, const google::protobuf::Message& request,
                       Charge& charge) const;
  std::optional<Refusal> Apply(absl::string_view method, const Charge& charge);
  void Release(v1::BudgetKind kind);

  const std::shared_ptr<Family> family_;  // with the lock that guards all accounts
  const std::shared_ptr<Budget> parent_;
  std::vector<Account> accounts_;
};

// The budget message that a grant gets which says nothing: the default_value of
// each field. Null for a service that declares no budget.
std::unique_ptr<google::protobuf::Message> DefaultBudget(const ServiceSchema& schema);

}  // namespace capbroker::authority

#endif  // AUTHORITY_BUDGET_H_
