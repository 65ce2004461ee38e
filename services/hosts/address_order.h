// The order in which a client should try the addresses of a host: destination
// address selection, RFC 6724 section 6.
//
// Rules 1, 2, 5, 6, 8, 9 (of IPv6) and 10. Not looked at: whether a source address
// is deprecated (3), a home address (4) or of a tunnel (7), and gai.conf(5).
//
// Lives in: the service process. Thread-safe: functions without state.
#ifndef SERVICES_HOSTS_ADDRESS_ORDER_H_
#define SERVICES_HOSTS_ADDRESS_ORDER_H_

#include <optional>
#include <vector>

#include "services/hosts/ip_address.h"

namespace capbroker::hosts {

struct Destination {
  IpAddress address;
  // The address that this host would send from; none when there is no route.
  std::optional<IpAddress> source;
};

// The addresses, the best one first.
std::vector<IpAddress> OrderDestinations(const std::vector<Destination>& destinations);

// The same for this host and its routes. Asks the kernel by connecting UDP sockets,
// which sends nothing.
std::vector<IpAddress> OrderAddresses(const std::vector<IpAddress>& addresses);

}  // namespace capbroker::hosts

#endif  // SERVICES_HOSTS_ADDRESS_ORDER_H_
