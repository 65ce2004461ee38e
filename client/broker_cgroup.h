// The cgroup of one broker, in which each worker gets one of its own.
//
//   P                        delegated to the application: WorkerCgroups::beneath
//   P/capbroker.application  the application, if P is its own cgroup: no process may be in P
//   P/capbroker.<number>     of one broker, locked by its processes
//   P/capbroker.<number>/... of one worker each, made and removed by the zygote
//
// Made before the broker is, so that what is wrong is told by Broker::Start(). The lock is one of
// an open file that the application and the broker share: a cgroup that is not locked any more is
// of processes that are all dead, and the next broker beneath P removes it.
//
// Lives in: the application. Not thread-safe.
#ifndef CLIENT_BROKER_CGROUP_H_
#define CLIENT_BROKER_CGROUP_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/cgroup.h"
#include "base/unique_fd.h"
#include "client/worker_cgroups.h"

namespace capbroker {

class BrokerCgroup {
 public:
  // Errors: as Broker::Start() says.
  static absl::StatusOr<BrokerCgroup> Make(const WorkerCgroups& options);

  // None.
  BrokerCgroup() = default;
  BrokerCgroup(BrokerCgroup&&) = default;
  BrokerCgroup& operator=(BrokerCgroup&&) = delete;
  ~BrokerCgroup() { Remove(); }

  // With the lock.
  FdRef directory() const { return own_.directory(); }

  // Kills what is in it still, waits for its end, and removes it.
  void Remove();
  // Leaves it to the process that this one is a fork of.
  void Forget() { own_ = Cgroup(); }
  // For the broker, which is such a fork.
  UniqueFd Take() && { return std::move(own_).Take(); }

 private:
  static absl::StatusOr<BrokerCgroup> MakeIn(const WorkerCgroups& options);

  Cgroup parent_;
  std::string name_;
  Cgroup own_;
};

}  // namespace capbroker

#endif  // CLIENT_BROKER_CGROUP_H_
