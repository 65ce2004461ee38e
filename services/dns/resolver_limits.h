// What to grant of the Resolver service, for the usual purposes.
//
//   dns::LimitsForNames({"example.org", "*.example.org"},
//                       {.addresses = dns::AddressReach::kPublic})
//
// Names bound what is asked, addresses what the answer may lead to: whoever owns a
// name can point it at 127.0.0.1 or at a printer of the local network (rebinding).
// A worker that only ever talks to the Internet is granted public addresses only.
//
// Lives in: the application. Thread-safe: functions without state.
#ifndef SERVICES_DNS_RESOLVER_LIMITS_H_
#define SERVICES_DNS_RESOLVER_LIMITS_H_

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "capbroker/dns/v1/resolver.pb.h"
#include "services/hosts/public_addresses.h"

namespace capbroker::dns {

using hosts::PublicAddressRanges;

enum class AddressReach {
  kAny,     // every address
  kPublic,  // PublicAddressRanges()
};

struct NameLimits {
  AddressReach addresses = AddressReach::kAny;
  bool v4 = true;
  bool v6 = true;
};

// To find the addresses of these names: patterns as in NAME_PATTERNS of
// capbroker/v1/authority.proto. A numeric address is a name, too.
v1::ResolverLimits LimitsForNames(absl::Span<const std::string> names,
                                  const NameLimits& options = {});

// To find the names of the addresses in these ranges ("0.0.0.0/0", "::/0"),
// whatever the names are.
v1::ResolverLimits LimitsForAddresses(absl::Span<const std::string> address_ranges);

// Everything: every name, every address, both ways.
v1::ResolverLimits LimitsForEveryHost();

}  // namespace capbroker::dns

#endif  // SERVICES_DNS_RESOLVER_LIMITS_H_
