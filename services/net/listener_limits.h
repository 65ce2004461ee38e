// What to grant of the Listener service, for the usual purposes.
//
//   net::LimitsForServers({"127.0.0.1", "::1"}, {"8080"})
//
// The address says who can reach the server: 127.0.0.1 and ::1 this machine, others who can reach
// them, "*" everybody.
//
// Lives in: the application. Thread-safe: functions without state.
#ifndef SERVICES_NET_LISTENER_LIMITS_H_
#define SERVICES_NET_LISTENER_LIMITS_H_

#include <string>

#include "absl/types/span.h"
#include "capbroker/net/v1/listener.pb.h"

namespace capbroker::net {

// At these addresses (or ranges of them; "*" is all, and to listen at all at once), at these ports
// ("0" is one that the system chooses, "*" is every port).
v1::ListenerLimits LimitsForServers(absl::Span<const std::string> addresses,
                                    absl::Span<const std::string> ports);

}  // namespace capbroker::net

#endif  // SERVICES_NET_LISTENER_LIMITS_H_
