#include "services/net/connector_limits.h"

#include <algorithm>

#include "services/hosts/ip_address.h"
#include "services/hosts/public_addresses.h"

namespace capbroker::net {

v1::ConnectorLimits LimitsForHosts(absl::Span<const std::string> names,
                                   absl::Span<const std::string> ports, const HostLimits& options) {
  v1::ConnectorLimits limits;
  const bool only_addresses = std::all_of(names.begin(), names.end(), [](const std::string& name) {
    return hosts::IpAddress::Parse(name).has_value();
  });
  for (const std::string& name : names) limits.add_names(name);
  for (const std::string& port : ports) limits.add_ports(port);
  if (options.v4) limits.add_families(v1::ADDRESS_FAMILY_INET);
  if (options.v6) limits.add_families(v1::ADDRESS_FAMILY_INET6);
  const std::vector<std::string> ranges = only_addresses
                                              ? std::vector<std::string>(names.begin(), names.end())
                                              : hosts::PublicAddressRanges();
  for (const std::string& range : ranges) limits.add_address_ranges(range);
  for (const std::string& range : options.local_addresses) limits.add_address_ranges(range);
  return limits;
}

}  // namespace capbroker::net
