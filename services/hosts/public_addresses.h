// The addresses of the public Internet.
//
// Lives in: the application. Thread-safe: a function without state.
#ifndef SERVICES_HOSTS_PUBLIC_ADDRESSES_H_
#define SERVICES_HOSTS_PUBLIC_ADDRESSES_H_

#include <string>
#include <vector>

namespace capbroker::hosts {

// All addresses that are reachable over the Internet, as ranges: neither those of
// this host, its links and private networks, nor multicast, documentation and other
// special purposes (IANA's registries, RFC 6890), nor the tunnels that IPv4
// addresses are hidden in (2002::/16, 2001::/32). Of NAT64's 64:ff9b::/96, what leads
// to public IPv4 addresses.
std::vector<std::string> PublicAddressRanges();

}  // namespace capbroker::hosts

#endif  // SERVICES_HOSTS_PUBLIC_ADDRESSES_H_
