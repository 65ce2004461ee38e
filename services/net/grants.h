// Grant expressions of Connector and Listener, and what keeps them linked.
//
//   .grants = {{"web", capbroker::ConnectToHosts({"*.example.org"}, {"443"})},
//              {"server", capbroker::ListenAt({"127.0.0.1"}, {"8080"})}},
//   .accepts_connections = true
//
// Lives in: the application. Values; nothing happens until a broker opens them.
#ifndef SERVICES_NET_GRANTS_H_
#define SERVICES_NET_GRANTS_H_

#include <string>
#include <vector>

#include "client/grant.h"
#include "services/net/connector_limits.h"
#include "services/net/listener_limits.h"

namespace capbroker {

// To connect to these hosts at these ports: net::LimitsForHosts().
Authority ConnectToHosts(const std::vector<std::string>& names,
                         const std::vector<std::string>& ports,
                         const net::HostLimits& options = {});

// Within limits of one's own.
Authority Connect(const net::v1::ConnectorLimits& limits);

// To be a server at these addresses of this host and these ports: net::LimitsForServers(). The
// worker accepts if WorkerOptions::accepts_connections says so; one whose supervisor has the grant
// (Supervision::servers) does.
Authority ListenAt(const std::vector<std::string>& addresses,
                   const std::vector<std::string>& ports);

// Within limits of one's own.
Authority Listen(const net::v1::ListenerLimits& limits);

}  // namespace capbroker

#endif  // SERVICES_NET_GRANTS_H_
