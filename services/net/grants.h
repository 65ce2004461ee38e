// Grant expressions of the Connector, and what keeps it linked.
//
//   .grants = {{"web", capbroker::ConnectToHosts({"*.example.org"}, {"443"})}}
//
// Lives in: the application. Values; nothing happens until a broker opens them.
#ifndef SERVICES_NET_GRANTS_H_
#define SERVICES_NET_GRANTS_H_

#include <string>
#include <vector>

#include "client/grant.h"
#include "services/net/connector_limits.h"

namespace capbroker {

// To connect to these hosts at these ports: net::LimitsForHosts().
Authority ConnectToHosts(const std::vector<std::string>& names,
                         const std::vector<std::string>& ports,
                         const net::HostLimits& options = {});

// Within limits of one's own.
Authority Connect(const net::v1::ConnectorLimits& limits);

}  // namespace capbroker

#endif  // SERVICES_NET_GRANTS_H_
