#include "services/net/grants.h"

#include "capbroker/net/v1/connector.dispatch.h"
#include "sandbox/supervisor/outside.h"
#include "services/net/connector_outside.h"
#include "services/net/connector_service.h"
#include "services/service.h"

namespace capbroker {
namespace {

// Who can grant connections can grant them to code that knows of none.
const bool registered = [] {
  sandbox::RegisterOutside(&net::MakeConnectorOutside);
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

}  // namespace capbroker
