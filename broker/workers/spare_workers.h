// Workers that wait for a launch, so that it does not wait for them.
//
// A spare is confined as the worker will be, holds nothing, and runs nothing but the wait for its
// job (sandbox/spare_job.h). Bounds and permissions are part of its confinement, so it fits exactly
// the launches that ask for these. There is one for each of the last launches of forked workers
// without a supervisor, of the kind that it was, and before there were any, of the default kind. A
// launch that none fits, or that comes when they are used up, forks its worker as ever. Spares are
// made one after another, some milliseconds after the launch that took one.
//
// Spares are no workers: nobody is told of them, and they have no number, until they are
// launched. They die as workers do, with the broker and with the zygote, and are made again.
//
// Lives in: the broker, on its one thread.
#ifndef BROKER_WORKERS_SPARE_WORKERS_H_
#define BROKER_WORKERS_SPARE_WORKERS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "broker/families/incarnation.h"
#include "broker/workers/launched_worker.h"
#include "capbroker/v1/zygote.pb.h"

namespace capbroker::broker {

class SpareWorkers {
 public:
  SpareWorkers(const BrokerParts& parts, size_t count);
  ~SpareWorkers();
  SpareWorkers(const SpareWorkers&) = delete;
  SpareWorkers& operator=(const SpareWorkers&) = delete;

  // A spare that has become the worker which `command` asks for (LaunchedWorker::Employ()).
  // Null, with nothing taken: none fits.
  std::shared_ptr<LaunchedWorker> Employ(v1::ForkWorker& command,
                                         std::vector<UniqueFd>& descriptors,
                                         LaunchedWorker::Events& events);

  // That wait.
  size_t count() const;

 private:
  struct Spare {
    uint64_t number;
    std::string kind;
    std::shared_ptr<LaunchedWorker> worker;
    bool waits = false;
  };

  void RefillIn(absl::Duration time);
  void Refill();
  void Make(const std::string& kind);
  void DropOneTooMany();
  void OnWaiting(uint64_t number);
  void OnLost(uint64_t number);

  const BrokerParts parts_;
  uint64_t next_number_ = 1;
  std::deque<std::string> wanted_;  // kinds of the last launches, the last one first
  std::list<Spare> spares_;
  uint64_t timer_ = 0;
};

}  // namespace capbroker::broker

#endif  // BROKER_WORKERS_SPARE_WORKERS_H_
