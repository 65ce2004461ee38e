// Starts workers with their grants, and keeps what became of them.
//
// A launch is all or nothing: the grants' services are opened, the worker is forked
// without waiting for them, and the answer is given when the worker is confined. If it
// cannot be, what was opened for it is closed again.
//
// Lives in: the broker, on its one thread.
#ifndef BROKER_WORKERS_LAUNCHER_H_
#define BROKER_WORKERS_LAUNCHER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "broker/families/families.h"
#include "broker/families/incarnation.h"
#include "broker/workers/launched_worker.h"
#include "broker/workers/spare_workers.h"
#include "broker/workers/worker_journal.h"
#include "capbroker/v1/broker.pb.h"

namespace capbroker::broker {

class Launcher {
 public:
  // `has_entries`: whether a function of the application is at the same address
  // here; without, there are no spare workers. `families` outlives the launcher.
  Launcher(const BrokerParts& parts, Families* families, bool has_entries, size_t spare_workers)
      : parts_(parts),
        families_(*families),
        has_entries_(has_entries),
        spares_(parts, has_entries ? spare_workers : 0) {}

  using TakeDescriptor = Families::TakeDescriptor;
  using Launched = std::function<void(absl::StatusOr<v1::LaunchWorkerResponse>)>;
  using Ended = std::function<void(const v1::WaitWorkerResponse&)>;

  // An error at once, or `launched` later.
  absl::Status Launch(const v1::LaunchWorkerRequest& request, TakeDescriptor take,
                      Launched launched);

  // Calls `ended` when the worker has ended, also within this call. NOT_FOUND: no such
  // worker, or it was forgotten.
  absl::Status Wait(uint64_t worker, Ended ended);

  // Kills it, unless `detach`; with `forget`, drops the record when it has ended.
  absl::Status Kill(const v1::KillWorkerRequest& request);

  absl::Status Signal(const v1::SignalWorkerRequest& request);

  // The channel that a worker was granted, by its number when it was.
  struct GrantedChannel {
    std::string name;
    uint64_t family = 0;
    uint64_t channel = 0;
    bool opened = false;  // for this worker alone
    std::string service;
  };
  // The grants of a worker, or the one of that name. NOT_FOUND: no such worker or grant.
  absl::StatusOr<std::vector<GrantedChannel>> GrantsOf(uint64_t worker,
                                                       const std::string& name) const;

  void Describe(v1::InspectResponse* response) const;

 private:
  struct Record {
    std::shared_ptr<LaunchedWorker> worker;
    std::unique_ptr<WorkerJournal> journal;  // of a supervised one, for the audit
    std::vector<GrantedChannel> grants;
    std::vector<Ended> waiting;
    std::optional<v1::WaitWorkerResponse> end;
    bool forget = false;
  };
  // What a launch has gathered for the zygote, and gives back if it fails.
  struct Preparation {
    v1::ForkWorker command;
    std::vector<UniqueFd> descriptors;
    std::vector<GrantedChannel> grants;
    std::unique_ptr<WorkerJournal> journal;
  };

  absl::Status Check(const v1::LaunchWorkerRequest& request) const;
  absl::Status Prepare(const v1::LaunchWorkerRequest& request, TakeDescriptor take,
                       Preparation& preparation);
  absl::Status AddSupervision(const v1::LaunchWorkerRequest& request, uint64_t worker,
                              Preparation& preparation);
  absl::Status AddGrants(const v1::LaunchWorkerRequest& request, TakeDescriptor take,
                         Preparation& preparation);
  void OnStarted(uint64_t id, absl::StatusOr<std::vector<std::string>> layers,
                 const Launched& launched);
  void OnEnded(uint64_t id, const v1::WaitWorkerResponse& end);
  void RecordEnd(uint64_t id, const v1::WaitWorkerResponse& end);
  void GiveUp(const std::vector<GrantedChannel>& grants);
  void Unpin(const std::vector<GrantedChannel>& grants);

  const BrokerParts parts_;
  Families& families_;
  const bool has_entries_;
  uint64_t next_worker_ = 1;
  std::map<uint64_t, Record> workers_;
  SpareWorkers spares_;
  std::deque<uint64_t> ended_;  // whose record is kept, oldest first
};

}  // namespace capbroker::broker

#endif  // BROKER_WORKERS_LAUNCHER_H_
