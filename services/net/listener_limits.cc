#include "services/net/listener_limits.h"

namespace capbroker::net {

v1::ListenerLimits LimitsForServers(absl::Span<const std::string> addresses,
                                    absl::Span<const std::string> ports) {
  v1::ListenerLimits limits;
  for (const std::string& address : addresses) {
    if (address == "*") {
      limits.add_address_ranges("0.0.0.0/0");
      limits.add_address_ranges("::/0");
    } else {
      limits.add_address_ranges(address);
    }
  }
  for (const std::string& port : ports) limits.add_ports(port);
  return limits;
}

}  // namespace capbroker::net
