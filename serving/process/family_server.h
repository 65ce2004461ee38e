// The family that a service process serves: its channels, their states, lanes and
// wires, and the account that they share.
//
// The broker's record is authoritative; whatever changes it (a narrowing, a clone)
// is committed there before it is answered here, so that a crash of this process
// takes nothing back. docs/design/channel_state.md
//
// Lives in: a service process. Thread-safe.
#ifndef SERVING_PROCESS_FAMILY_SERVER_H_
#define SERVING_PROCESS_FAMILY_SERVER_H_

#include <atomic>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "authority/budget.h"
#include "authority/channel_upkeep.h"
#include "authority/schema.h"
#include "base/unique_fd.h"
#include "capbroker/v1/control.grpc.pb.h"
#include "serving/channel/audit_recorder.h"
#include "serving/channel/channel_state.h"
#include "serving/dispatch.h"
#include "serving/lane/lane_server.h"
#include "serving/lane/served_lane.h"
#include "serving/wire/wire_server.h"

namespace capbroker::serving {

class FamilyServer final : public ChannelKeeper {
 public:
  // Everything given outlives this.
  FamilyServer(EventLoop* loop, LaneServer* server, Dispatch* service, Dispatch* capability,
               const authority::ServiceSchema* schema, v1::Supervisor::StubInterface* supervisor,
               authority::BudgetClock clock = authority::MonotonicNow);
  ~FamilyServer() override;

  // From the broker:
  absl::Status SetAccount(const google::protobuf::Any& budget, const v1::BudgetUsage* usage);
  // Before the first channel.
  void SetAudit(const v1::AuditSettings& settings);
  absl::Status Add(const v1::ChannelRecord& record, UniqueFd lane, bool wire, bool successor)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Nothing is admitted on the channel any more, and what it had leased is shut down, when this
  // returns. Gives its state, for what was delivered on it; null: it serves no such channel.
  std::shared_ptr<const ChannelState> Revoke(uint64_t channel) ABSL_LOCKS_EXCLUDED(mutex_);
  int channels() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Null: it serves no channel of that number.
  std::shared_ptr<ChannelState> Find(uint64_t channel) const ABSL_LOCKS_EXCLUDED(mutex_);

  // Tells the broker what is left to tell. At the end of the process.
  void FinishAudit();

  // Ends every channel: holders see the end of their lanes. Waits for the handlers of wires.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);

  // ChannelKeeper:
  absl::Status ChargeUpkeep(absl::string_view method, uint64_t units) override;
  absl::StatusOr<std::shared_ptr<const authority::Limits>> Narrow(
      ChannelState& channel, const authority::Limits& requested) override;
  absl::StatusOr<Cloned> Clone(ChannelState& channel, const authority::Limits* requested,
                               std::shared_ptr<void> bound) override ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<UniqueFd> OpenWire(ChannelState& channel) override ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status RecordBudget() override ABSL_LOCKS_EXCLUDED(recording_);
  EventLoop* loop() override { return loop_; }
  bool successor() const override { return successor_; }

 private:
  struct Member {
    std::shared_ptr<ChannelState> state;
    std::shared_ptr<ServedLane> lane;
    std::unique_ptr<WireServer> wire;
    authority::HeldCharge charge;
  };

  absl::Status Serve(std::shared_ptr<ChannelState> state, UniqueFd lane,
                     authority::HeldCharge charge, bool successor) ABSL_LOCKS_EXCLUDED(mutex_);
  // Wires that are being closed, each by a thread of its own.
  struct Closing {
    absl::Mutex mutex;
    int wires ABSL_GUARDED_BY(mutex) = 0;
  };

  // Its holder is gone.
  void Forget(uint64_t channel) ABSL_LOCKS_EXCLUDED(mutex_);
  void CloseWire(std::unique_ptr<WireServer> wire);

  EventLoop* const loop_;
  LaneServer* const server_;
  Dispatch* const service_;
  const authority::ServiceSchema* const schema_;
  const std::shared_ptr<const MethodTable> methods_;
  v1::Supervisor::StubInterface* const supervisor_;
  const authority::BudgetClock clock_;
  bool takes_descriptors_ = false;
  std::atomic<bool> successor_{false};
  std::shared_ptr<authority::Budget> budget_;  // set before the first channel
  std::unique_ptr<AuditRecorder> audit_;       // as well; null: nobody audits
  absl::Mutex recording_;
  authority::UpkeepRate calls_{"channel_calls_per_minute", authority::kChannelCallsPerMinute};
  authority::UpkeepRate changes_{"channel_changes_per_minute", authority::kChannelChangesPerMinute};

  const std::shared_ptr<Closing> closing_ = std::make_shared<Closing>();
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<uint64_t, Member> members_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace capbroker::serving

#endif  // SERVING_PROCESS_FAMILY_SERVER_H_
