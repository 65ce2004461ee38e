// hosts(5): addresses and names that need no name server.
//
// Lives in: the service process. Immutable; thread-safe.
#ifndef SERVICES_HOSTS_HOSTS_FILE_H_
#define SERVICES_HOSTS_HOSTS_FILE_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "services/hosts/ip_address.h"

namespace capbroker::hosts {

inline constexpr size_t kMaxNamesOfAddress = 256;

class HostsFile {
 public:
  // Lines that are malformed are left out.
  static HostsFile Parse(absl::string_view text);

  struct Entry {
    std::vector<IpAddress> addresses;
    std::string canonical_name;
  };
  // All addresses of `name` (canonical) of the families that are wanted, from all
  // its lines; none when there is no line.
  Entry Find(absl::string_view name, bool v4, bool v6) const;

  // The names of `address`, canonical ones first; at most kMaxNamesOfAddress. Lists
  // of blocked hosts have one address for a hundred thousand.
  std::vector<std::string> NamesOf(const IpAddress& address) const;

 private:
  struct Line {
    IpAddress address;
    std::vector<std::string> names;  // as written; the first is the canonical one
  };
  std::vector<Line> lines_;
  absl::flat_hash_map<std::string, std::vector<size_t>> by_name_;
  absl::flat_hash_map<std::string, std::vector<size_t>> by_address_;  // packed
};

}  // namespace capbroker::hosts

#endif  // SERVICES_HOSTS_HOSTS_FILE_H_
