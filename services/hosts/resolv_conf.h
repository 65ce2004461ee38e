// resolv.conf(5): which name servers are asked, and how.
//
// Lives in: the service process. A value.
#ifndef SERVICES_HOSTS_RESOLV_CONF_H_
#define SERVICES_HOSTS_RESOLV_CONF_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "services/hosts/ip_address.h"

namespace capbroker::hosts {

inline constexpr size_t kMaxNameServers = 3;
inline constexpr size_t kMaxSearchDomains = 16;

struct NameServer {
  IpAddress address;
  uint16_t port = 53;

  friend bool operator==(const NameServer&, const NameServer&) = default;
};

struct ResolvConf {
  std::vector<NameServer> servers;  // at least one
  std::vector<std::string> search;  // canonical names
  // A name with fewer dots is looked for in the search domains first.
  int ndots = 1;
  absl::Duration timeout = absl::Seconds(5);  // of one try of one server
  int attempts = 2;
  bool rotate = false;  // spread queries over the servers
  bool tcp_only = false;
  bool no_aaaa = false;  // ask for no IPv6 addresses

  // The keywords and options of glibc that mean something here; what is unknown or
  // malformed is left out. Beyond resolv.conf(5), a server may have a port:
  // "nameserver [192.0.2.1]:5353". `host_name` is that of the machine: its domain
  // is searched when the file names none.
  static ResolvConf Parse(absl::string_view text, absl::string_view host_name);

  // The names to ask for when `name` (canonical) is wanted, in order.
  std::vector<std::string> Candidates(absl::string_view name, bool absolute) const;
};

}  // namespace capbroker::hosts

#endif  // SERVICES_HOSTS_RESOLV_CONF_H_
