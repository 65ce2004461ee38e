// A Listener in a process of its own. Lives in: test programs.
#ifndef SERVICES_NET_TESTING_LISTENER_PROCESS_H_
#define SERVICES_NET_TESTING_LISTENER_PROCESS_H_

#include "capbroker/net/v1/listener.pb.h"
#include "services/net/testing/served_process.h"

namespace capbroker::net {

class ListenerProcess final : public ServedProcess {
 public:
  explicit ListenerProcess(const v1::ListenerLimits& limits);
};

}  // namespace capbroker::net

#endif  // SERVICES_NET_TESTING_LISTENER_PROCESS_H_
