// Keeps a family served: one service process after another.
//
// A process that crashes is succeeded by a new one, which is given the broker's record
// and the service ends of the channels; holders see UNAVAILABLE for the calls that
// were in flight, and nothing else. One that crashes five times in ten seconds, or whose
// last channel is gone, ends the family: its channels then see the end of the lane.
//
// Lives in: the broker, on its one thread.
#ifndef BROKER_FAMILIES_SERVED_FAMILY_H_
#define BROKER_FAMILIES_SERVED_FAMILY_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "broker/families/delivered.h"
#include "broker/families/family.h"
#include "broker/families/incarnation.h"
#include "broker/zygote/crash_rate.h"
#include "capbroker/v1/broker.pb.h"

namespace capbroker::broker {

class ServedFamily {
 public:
  // `over` is called once, later, when the family has ended.
  ServedFamily(const BrokerParts& parts, std::unique_ptr<Family> family,
               std::function<void()> over);
  ~ServedFamily();

  // Starts the first process. `forked` is told once whether there is one; if not, the
  // family ends.
  void Start(std::function<void(absl::Status)> forked);

  // Ends the authority of a channel and of what was cloned from it. `done` is called later,
  // when no call on them is admitted any more, and adds what came of it. NOT_FOUND: the
  // channel is gone; then `done` is not called.
  absl::Status Revoke(uint64_t channel, std::function<void(const v1::BrokerRevokeResponse&)> done);

  // See Family.
  absl::Status Pin(uint64_t channel) { return family_->Pin(channel); }
  void Unpin(uint64_t channel) { family_->Unpin(channel); }
  void Grant(uint64_t channel, uint64_t worker, const std::string& grant);

  // Kills the process and ends the family.
  void End();

  const Family& family() const { return *family_; }
  int restarts() const { return restarts_; }
  pid_t pid() const { return incarnation_ == nullptr ? 0 : incarnation_->pid(); }
  // What confines the process; empty: nothing, or there is none.
  std::string layers() const { return incarnation_ == nullptr ? "" : incarnation_->layers(); }

 private:
  absl::Status StartProcess(bool successor);
  void OnForked(const absl::Status& status);
  void OnEnded(const ChildEnd& end);
  // What came of revoking a channel.
  v1::BrokerRevokeResponse Tell(uint64_t channel, const std::vector<uint64_t>& revoked,
                                const absl::StatusOr<v1::RevokeResponse>& confirmed);
  void AddNotTakenBack(uint64_t channel, const Delivered& delivered,
                       v1::BrokerRevokeResponse& response);
  void RecordOutcome(uint64_t channel, v1::AuditEvent::Kind kind, const std::string& method,
                     uint64_t count);

  const BrokerParts parts_;
  const std::unique_ptr<Family> family_;
  std::function<void()> over_;
  std::function<void(absl::Status)> first_forked_;
  std::shared_ptr<Incarnation> incarnation_;
  CrashRate crashes_;
  CrashRate gave_way_;  // processes that gave way to one that may open files of the present
  int restarts_ = 0;
  bool process_lost_ = false;  // one crashed, with what it knew of deliveries
  bool ending_ = false;
};

}  // namespace capbroker::broker

#endif  // BROKER_FAMILIES_SERVED_FAMILY_H_
