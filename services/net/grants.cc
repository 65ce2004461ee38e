#include "services/net/grants.h"

#include "capbroker/net/v1/connector.dispatch.h"
#include "capbroker/net/v1/listener.dispatch.h"
#include "sandbox/supervisor/outside.h"
#include "services/net/connector_service.h"
#include "services/net/listener_service.h"
#include "services/net/net_outside.h"
#include "services/service.h"

namespace capbroker {
namespace {

// Who can grant connections and servers can grant them to code that knows of no channel.
const bool registered = [] {
  sandbox::RegisterOutside(&net::MakeNetOutside);
  return true;
}();

}  // namespace

Authority ConnectToHosts(const std::vector<std::string>& names,
                         const std::vector<std::string>& ports, const net::HostLimits& options) {
  return Connect(net::LimitsForHosts(names, ports, options));
}

Authority Connect(const net::v1::ConnectorLimits& limits) {
  return Serve<net::ConnectorService>(limits);
}

Authority ListenAt(const std::vector<std::string>& addresses,
                   const std::vector<std::string>& ports) {
  return Listen(net::LimitsForServers(addresses, ports));
}

Authority Listen(const net::v1::ListenerLimits& limits) {
  return Serve<net::ListenerService>(limits);
}

}  // namespace capbroker
