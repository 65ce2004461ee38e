// One service process that serves a family, as the broker sees it: its life, the lane
// on which it is commanded, and the lane on which it asks the broker.
//
// A service process parses what strangers send, so it is not trusted: nothing here waits
// for it, and what it should not do ends it.
//
// Lives in: the broker, on its one thread.
#ifndef BROKER_FAMILIES_INCARNATION_H_
#define BROKER_FAMILIES_INCARNATION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/pid_fd.h"
#include "base/unique_fd.h"
#include "broker/families/audit_trail.h"
#include "broker/families/family.h"
#include "broker/zygote/zygote_keeper.h"
#include "capbroker/v1/control.pb.h"
#include "serving/events/event_loop.h"
#include "serving/lane/lane_server.h"
#include "transport/lane_client.h"

namespace capbroker::broker {

class SpareServices;
struct BoundingCgroup;

// What the broker gives to everything that starts processes.
struct BrokerParts {
  serving::EventLoop* loop = nullptr;
  serving::LaneServer* server = nullptr;  // for the lanes of service processes
  ZygoteKeeper* zygote = nullptr;
  AuditTrail* audit = nullptr;
  SpareServices* spares = nullptr;
  const BoundingCgroup* cgroup = nullptr;  // of workers; null: they have none
};

class Incarnation : public std::enable_shared_from_this<Incarnation> {
 public:
  struct Events {
    // The process exists, or could not be forked. Then nothing else follows.
    std::function<void(const absl::Status&)> forked;
    // It has ended; the last event.
    std::function<void(const ChildEnd&)> ended;
  };

  // Forks a process and installs `family` in it, which outlives the incarnation.
  // Events come later, never within this call.
  static absl::StatusOr<std::shared_ptr<Incarnation>> Start(const BrokerParts& parts,
                                                            Family* family, bool successor,
                                                            Events events);
  // Forks a process that waits for a family of `service`. It is told nothing until then.
  static absl::StatusOr<std::shared_ptr<Incarnation>> StartSpare(const BrokerParts& parts,
                                                                 const std::string& service,
                                                                 Events events);
  // Installs `family` in a process that waits, of whose events `events` are told from now on,
  // `forked` included.
  absl::Status Employ(Family* family, bool successor, Events events);
  ~Incarnation();

  pid_t pid() const { return process_.pid; }
  const std::string& layers() const { return process_.layers; }

  // Whether the process was given the whole family: only then its end by itself is
  // the family's.
  bool installed() const { return installed_; }

  // Ends `channels` there. `done` is given what the process had delivered on them, or an
  // error if it did not confirm in time.
  void Revoke(const std::vector<uint64_t>& channels,
              std::function<void(absl::StatusOr<v1::RevokeResponse>)> done);

  // Kills it at once; `ended` follows.
  void Kill();

  // No more events.
  void Abandon();

 private:
  // The process's.
  struct Ends {
    UniqueFd supervisor, commands, lifeline;
  };

  Incarnation(const BrokerParts& parts, Events events)
      : parts_(parts), events_(std::move(events)) {}
  absl::StatusOr<Ends> MakeLanes();
  void Fork(const std::string& service, Ends ends);
  absl::Status Take(Family* family, bool successor);
  absl::Status ServeSupervisor(Family* family);
  absl::Status Command(UniqueFd lane);
  absl::Status Install(const Family& family, bool successor);
  void InstallAfter(const Family& family, uint64_t after, uint64_t last, bool successor,
                    const Family::Memories& memories);
  void Call(uint64_t method, const google::protobuf::Message& request,
            const std::vector<FdRef>& descriptors, int64_t deadline_ns,
            std::function<void(absl::StatusOr<absl::string_view>)> done);
  serving::Left Pump();
  void KillUnlessItEnds();
  void CloseLanes();

  const BrokerParts parts_;
  Events events_;
  ChildProcess process_;
  UniqueFd lifeline_;
  UniqueFd supervisor_end_;  // until it is served, for a family
  std::shared_ptr<serving::ServedLane> supervisor_;
  std::unique_ptr<transport::LaneClient> commands_;
  uint64_t commands_watch_ = 0;
  uint64_t timer_ = 0;
  bool installed_ = false;
};

}  // namespace capbroker::broker

#endif  // BROKER_FAMILIES_INCARNATION_H_
