// One worker, from the command that forks it to its end.
//
// What the broker knows of a worker comes from its init (sandbox/report.h) and, for the end
// of the init itself, from the zygote; nothing comes from the worker.
//
// Lives in: the broker, on its one thread.
#ifndef BROKER_WORKERS_LAUNCHED_WORKER_H_
#define BROKER_WORKERS_LAUNCHED_WORKER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "broker/families/incarnation.h"
#include "broker/zygote/zygote_keeper.h"
#include "capbroker/v1/broker.pb.h"
#include "capbroker/v1/zygote.pb.h"
#include "sandbox/report.h"

namespace capbroker::broker {

class LaunchedWorker : public std::enable_shared_from_this<LaunchedWorker> {
 public:
  struct Events {
    // It runs, confined, and these are the layers in force; or it could not be
    // started, and nothing of it is left. Then nothing else follows.
    std::function<void(absl::StatusOr<std::vector<std::string>>)> started;
    // It has ended, and all that it had started; the last event.
    std::function<void(const v1::WaitWorkerResponse&)> ended;
  };

  // Sends `command`, to which lifeline and report are added. Events come later, never
  // within this call.
  static absl::StatusOr<std::shared_ptr<LaunchedWorker>> Start(const BrokerParts& parts,
                                                               v1::ForkWorker command,
                                                               std::vector<UniqueFd> descriptors,
                                                               Events events);
  // A spare (sandbox/spare_job.h) with the bounds and permissions of `kind`. `started` says that it
  // waits, `ended` that it waits no more.
  static absl::StatusOr<std::shared_ptr<LaunchedWorker>> StartSpare(const BrokerParts& parts,
                                                                    v1::ForkWorker kind,
                                                                    Events events);
  ~LaunchedWorker();

  // A spare that waits becomes the worker that `command` asks for. Events are those of Start(); a
  // spare that turns out to have died before it began is replaced by a worker that is forked.
  // False, with nothing taken: it is gone already.
  bool Employ(v1::ForkWorker& command, std::vector<UniqueFd>& descriptors, Events& events);

  // Kills it, whatever its state; `reason` is told with its end. The first counts.
  void Kill(std::string reason);
  // Sends a signal to it and to what it has started, as soon as it runs.
  absl::Status Signal(int signal);

 private:
  LaunchedWorker(const BrokerParts& parts, Events events)
      : parts_(parts), events_(std::move(events)) {}
  // What it was asked to be, until it is: the descriptors are also those of a spare's job.
  struct Order {
    v1::ForkWorker command;
    std::vector<UniqueFd> descriptors;
  };

  absl::Status Fork(v1::ForkWorker command, std::vector<UniqueFd> descriptors);
  void AwaitStart();
  absl::Status WatchReports(UniqueFd reports);
  void OnForked(absl::StatusOr<ChildProcess> forked);
  void OnEnded(const ChildEnd& init);
  std::vector<std::string> Layers(const sandbox::Report& report) const;
  void WatchCpuTime();
  void ReadReports();
  void OnReport(const sandbox::Report& report);
  void FailStart(const absl::Status& status);
  void EndIt();
  void CancelTimer();
  void StopWatching();

  const BrokerParts parts_;
  Events events_;
  absl::Duration wall_time_;
  absl::Duration cpu_time_;
  ChildProcess init_;
  UniqueFd lifeline_;
  UniqueFd reports_;
  uint64_t reports_watch_ = 0;
  uint64_t timer_ = 0;
  uint64_t cpu_timer_ = 0;
  UniqueFd job_;                // of a spare
  std::optional<Order> order_;  // of a spare that has its job, until it is told to have begun
  bool killed_ = false;
  // Itself, until its reports end, if its zygote died before it told of it.
  std::shared_ptr<LaunchedWorker> unreported_;
  std::optional<absl::Status> start_failure_;
  std::optional<sandbox::Report> exit_;
  std::string violation_;
  std::string kill_reason_;
};

}  // namespace capbroker::broker

#endif  // BROKER_WORKERS_LAUNCHED_WORKER_H_
