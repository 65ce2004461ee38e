// Host names: which texts are names, and which names mean something special.
//
// A name is made lower case before anybody is asked: 253 letters in either case
// would carry 31 bytes out to a name server with each query for one and the same
// granted name, past the budget of distinct names.
//
// Two programs that read one name differently are how a check is passed by. So a
// name here is letters, digits, "-" and "_" in labels, and nothing that any C
// library would take for an address: "127.1", "0x7f.1" and "017700000001" are
// names to a careless checker and 127.0.0.1 to inet_aton(3). International names
// come as A-labels ("xn--...").
//
// Lives in: the service process. Thread-safe: functions without state.
#ifndef SERVICES_HOSTS_HOST_NAME_H_
#define SERVICES_HOSTS_HOST_NAME_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/hosts/ip_address.h"

namespace capbroker::hosts {

inline constexpr size_t kMaxHostNameBytes = 253;  // without the final dot
inline constexpr size_t kMaxLabelBytes = 63;

struct HostName {
  std::string text;       // lower case, without the final dot
  bool absolute = false;  // written with a final dot: no search domain is added
};

// INVALID_ARGUMENT: `text` is no host name; the message says why.
absl::StatusOr<HostName> ParseHostName(absl::string_view text);

// Whether `name`, in an answer or a file, is a name that may be handed on.
bool IsHostName(absl::string_view name);

// Lower case, without a final dot.
std::string CanonicalName(absl::string_view name);

// "localhost" and what is below it: the loopback addresses (RFC 6761). The name is
// canonical, as in the functions below.
bool IsLocalhost(absl::string_view name);

// Names that must not be asked of a name server: "invalid" (RFC 6761) and "onion"
// (RFC 7686), and what is below them.
bool IsNeverInDns(absl::string_view name);

// The name below in-addr.arpa or ip6.arpa whose PTR records name `address`; of an
// IPv4-mapped address that of the IPv4 address.
std::string ReverseName(const IpAddress& address);

}  // namespace capbroker::hosts

#endif  // SERVICES_HOSTS_HOST_NAME_H_
