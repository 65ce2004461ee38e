// The application's end of a broker: its lane and its life. Shared by the Broker handle and the
// Worker handles.
//
// Lives in: the application. Thread-safe.
#ifndef CLIENT_BROKER_LINK_H_
#define CLIENT_BROKER_LINK_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/pid_fd.h"
#include "base/unique_fd.h"
#include "client/broker_cgroup.h"
#include "google/protobuf/message.h"
#include "transport/call_descriptors.h"
#include "transport/channel.h"

namespace capbroker {

// The methods of capbroker.v1.Broker.
enum class BrokerMethod {
  kOpenService,
  kLaunchWorker,
  kWaitWorker,
  kKillWorker,
  kSignalWorker,
  kRevoke,
  kInspect,
  kStartAudit,
  kReadAudit,
};

class BrokerLink {
 public:
  // `process` is a child to reap unless it was executed.
  BrokerLink(UniqueFd lane, UniqueFd lifeline, PidFd process, bool is_child, BrokerCgroup cgroup);
  ~BrokerLink();
  BrokerLink(const BrokerLink&) = delete;
  BrokerLink& operator=(const BrokerLink&) = delete;

  // `context` may carry descriptors, and a deadline.
  absl::Status Call(BrokerMethod method, grpc::ClientContext* context,
                    const google::protobuf::Message& request, google::protobuf::Message* response);

  // Kills the broker and waits until it is dead, and with a cgroup the workers. In a fork of the
  // application: gives up this copy alone.
  void End();

  // Of all brokers of this process only this one has the number.
  uint64_t number() const { return number_; }

 private:
  const uint64_t number_;
  const pid_t owner_;
  const bool is_child_;
  Channel channel_;
  UniqueFd lifeline_;
  PidFd process_;
  BrokerCgroup cgroup_;
};

}  // namespace capbroker

#endif  // CLIENT_BROKER_LINK_H_
