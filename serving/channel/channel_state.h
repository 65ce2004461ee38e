// What a service process knows of one channel: its limits, its family's budget,
// whether it is revoked. The broker's record is the authority; this is the copy on
// the hot path (docs/design/channel_state.md).
//
// Lives in: service processes. Thread-safe.
#ifndef SERVING_CHANNEL_CHANNEL_STATE_H_
#define SERVING_CHANNEL_CHANNEL_STATE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "authority/budget.h"
#include "authority/denial.h"
#include "authority/limits.h"
#include "authority/schema.h"
#include "base/unique_fd.h"
#include "serving/channel/audit_recorder.h"
#include "serving/channel/deliveries.h"

namespace capbroker::serving {

class ChannelState;

// What a channel's holder can ask beyond the service itself. Implemented by the
// service process, which asks the broker. Called on handler threads; blocks for
// the broker's answer.
class ChannelKeeper {
 public:
  virtual ~ChannelKeeper() = default;
  // Charges the family for a call of the channel's own methods, before anything is
  // done for it. RESOURCE_EXHAUSTED: too many in the last minute.
  virtual absl::Status ChargeUpkeep(absl::string_view method, uint64_t units) = 0;
  // Commits the meet of the channel's limits and `requested`, installs it in
  // `channel` and returns it. Where the meet is what is in force already, nobody is
  // asked. RESOURCE_EXHAUSTED: the meet is too large, or the family has changed too
  // much in the last minute.
  virtual absl::StatusOr<std::shared_ptr<const authority::Limits>> Narrow(
      ChannelState& channel, const authority::Limits& requested) = 0;
  // Makes a channel of the same family, with the meet if `requested` is not null. Bound to
  // `bound`, or if that is null to what `channel` is bound to.
  struct Cloned {
    uint64_t number = 0;
    UniqueFd client_end;
  };
  virtual absl::StatusOr<Cloned> Clone(ChannelState& channel, const authority::Limits* requested,
                                       std::shared_ptr<void> bound) = 0;
  // Opens a wire for the channel, in place of its last one.
  virtual absl::StatusOr<UniqueFd> OpenWire(ChannelState& channel) = 0;
  // Sends the broker a snapshot of the budget, if one is due.
  virtual absl::Status RecordBudget() = 0;
  // What watches leased connections.
  virtual EventLoop* loop() = 0;
  // Whether this process succeeds one that crashed.
  virtual bool successor() const = 0;
};

class ChannelState {
 public:
  // `schema`, `keeper` and `audit` outlive the state; without an audit it is null.
  ChannelState(uint64_t id, const authority::ServiceSchema& schema,
               std::shared_ptr<const authority::Limits> limits,
               std::shared_ptr<authority::Budget> budget, bool wire, ChannelKeeper* keeper,
               AuditRecorder* audit = nullptr, std::shared_ptr<void> bound = nullptr);

  uint64_t id() const { return id_; }
  const authority::ServiceSchema& schema() const { return schema_; }
  const std::shared_ptr<authority::Budget>& budget() const { return budget_; }
  bool wire() const { return wire_; }
  // What the service has bound to this channel or to one that it was cloned from
  // (Call::AttachBoundChannel); null: nothing.
  const std::shared_ptr<void>& bound() const { return bound_; }
  ChannelKeeper& keeper() { return *keeper_; }

  std::shared_ptr<const authority::Limits> limits() const ABSL_LOCKS_EXCLUDED(mutex_);

  // INVARIANT(limits-never-widen): what is installed is the meet with what is in
  // force, whatever the caller has computed. RESOURCE_EXHAUSTED, and nothing
  // installed, when the meet is larger than limits may be.
  absl::Status Install(const authority::Limits& limits) ABSL_LOCKS_EXCLUDED(mutex_);

  // Descriptors that are about to be delivered on this channel, those of further channels
  // not counted: see Deliveries::Add. What is refused must not be sent.
  absl::Status Deliver(const authority::MethodSchema& method,
                       absl::Span<const NamedDescriptor> descriptors);
  const Deliveries& deliveries() const { return *deliveries_; }

  // Nothing is admitted any more, and leased connections are shut down, when this returns.
  void Revoke() {
    revoked_.store(true, std::memory_order_release);
    deliveries_->End();
  }
  bool revoked() const { return revoked_.load(std::memory_order_acquire); }

  // Its holder is gone: leased connections are shut down.
  void Close() { deliveries_->End(); }

  // The check in front of every handler, on both paths: the limits, then the
  // budget. Gives the limits that decided, for the handler's own checks.
  struct Admission {
    absl::Status status;
    std::shared_ptr<const authority::Limits> limits;
  };
  Admission Admit(const authority::MethodSchema& method, const google::protobuf::Message& request);
  // The same for a stream of requests before its first one: whether there can be any.
  Admission AdmitStream(const authority::MethodSchema& method);
  // The same for each further message of a stream of requests.
  absl::Status AdmitStreamed(const authority::MethodSchema& method,
                             const google::protobuf::Message& request);
  absl::Status AdmitResponse(const authority::MethodSchema& method, size_t bytes,
                             size_t descriptors);
  // A refusal that no request was needed for.
  absl::Status Refuse(const authority::Refusal& refusal);

  // For the audit, where there is one: what a handler has answered. It is recorded if it has
  // refused the object.
  bool audits() const { return audit_ != nullptr; }
  void RecordAnswer(const authority::MethodSchema& method, const std::optional<v1::Denial>& denial);

 private:
  std::optional<authority::Refusal> RefuseRevoked(const authority::MethodSchema& method) const;
  absl::Status Conclude(const authority::MethodSchema& method,
                        const google::protobuf::Message& request,
                        const std::optional<authority::Refusal>& refusal);

  const uint64_t id_;
  const authority::ServiceSchema& schema_;
  const std::shared_ptr<authority::Budget> budget_;  // null: the service has none
  const bool wire_;
  ChannelKeeper* const keeper_;
  const std::shared_ptr<void> bound_;
  AuditRecorder* const audit_;
  const std::shared_ptr<const authority::Limits::Watcher> watcher_;
  const std::shared_ptr<Deliveries> deliveries_;
  std::atomic<bool> revoked_{false};
  mutable absl::Mutex mutex_;
  std::shared_ptr<const authority::Limits> limits_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace capbroker::serving

#endif  // SERVING_CHANNEL_CHANNEL_STATE_H_
