#include "services/dns/grants.h"

#include "capbroker/dns/v1/resolver.dispatch.h"
#include "services/dns/resolver_service.h"
#include "services/service.h"

namespace capbroker {

Authority ResolveNames(const std::vector<std::string>& names, const dns::NameLimits& options) {
  return Resolve(dns::LimitsForNames(names, options));
}

Authority Resolve(const dns::v1::ResolverLimits& limits) {
  return Serve<dns::ResolverService>(limits);
}

}  // namespace capbroker
