// What to grant of the Connector service, for the usual purposes.
//
//   net::LimitsForHosts({"example.org", "*.example.org"}, {"443"})
//
// Names bound what is asked, addresses what the answer may lead to: whoever owns a name can point
// it at 127.0.0.1 or at a printer of the local network (rebinding).
//
// Lives in: the application. Thread-safe: functions without state.
#ifndef SERVICES_NET_CONNECTOR_LIMITS_H_
#define SERVICES_NET_CONNECTOR_LIMITS_H_

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "capbroker/net/v1/connector.pb.h"

namespace capbroker::net {

struct HostLimits {
  bool v4 = true;
  bool v6 = true;
  // Beside the addresses of the public Internet: "127.0.0.1", "10.0.0.0/8".
  std::vector<std::string> local_addresses = {};
};

// To connect to these hosts (NAME_PATTERNS of capbroker/v1/authority.proto) at these ports ("*" is
// every port), at public addresses. If all of `names` are addresses, these may be anything: who
// writes 127.0.0.1 means it, and no name can lead there.
v1::ConnectorLimits LimitsForHosts(absl::Span<const std::string> names,
                                   absl::Span<const std::string> ports,
                                   const HostLimits& options = {});

}  // namespace capbroker::net

#endif  // SERVICES_NET_CONNECTOR_LIMITS_H_
