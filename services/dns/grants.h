// Grant expressions of the Resolver, and what keeps it linked.
//
//   .grants = {{"dns", capbroker::ResolveNames({"example.org", "*.example.org"})}}
//
// Lives in: the application. Values; nothing happens until a broker opens them.
#ifndef SERVICES_DNS_GRANTS_H_
#define SERVICES_DNS_GRANTS_H_

#include <string>
#include <vector>

#include "client/grant.h"
#include "services/dns/resolver_limits.h"

namespace capbroker {

// To find the addresses of these names: patterns as in NAME_PATTERNS of
// capbroker/v1/authority.proto.
Authority ResolveNames(const std::vector<std::string>& names, const dns::NameLimits& options = {});

// Within limits of one's own.
Authority Resolve(const dns::v1::ResolverLimits& limits);

}  // namespace capbroker

#endif  // SERVICES_DNS_GRANTS_H_
