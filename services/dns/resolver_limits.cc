#include "services/dns/resolver_limits.h"

#include "services/hosts/public_addresses.h"

namespace capbroker::dns {

v1::ResolverLimits LimitsForNames(absl::Span<const std::string> names, const NameLimits& options) {
  v1::ResolverLimits limits;
  limits.add_directions(v1::DIRECTION_FORWARD);
  for (const std::string& name : names) limits.add_names(name);
  if (options.v4) limits.add_families(v1::ADDRESS_FAMILY_INET);
  if (options.v6) limits.add_families(v1::ADDRESS_FAMILY_INET6);
  const std::vector<std::string> ranges = options.addresses == AddressReach::kPublic
                                              ? PublicAddressRanges()
                                              : std::vector<std::string>{"0.0.0.0/0", "::/0"};
  for (const std::string& range : ranges) limits.add_address_ranges(range);
  return limits;
}

v1::ResolverLimits LimitsForAddresses(absl::Span<const std::string> address_ranges) {
  v1::ResolverLimits limits;
  limits.add_directions(v1::DIRECTION_REVERSE);
  limits.add_names("*");
  for (const std::string& range : address_ranges) limits.add_address_ranges(range);
  return limits;
}

v1::ResolverLimits LimitsForEveryHost() {
  v1::ResolverLimits limits = LimitsForNames({"*"});
  limits.add_directions(v1::DIRECTION_REVERSE);
  return limits;
}

}  // namespace capbroker::dns
