// Reads the answers of name servers (RFC 1035).
//
// The bytes come from the network: from a server that may be hostile, or from
// whoever could get a packet in. So the work is bounded by the message's size, and
// names that are no host names are left out instead of being escaped and passed on.
//
// Lives in: the service process. Thread-safe: functions without state.
#ifndef SERVICES_HOSTS_DNS_MESSAGE_H_
#define SERVICES_HOSTS_DNS_MESSAGE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/hosts/ip_address.h"

namespace capbroker::hosts {

enum class RecordType : uint16_t { kA = 1, kCname = 5, kPtr = 12, kAaaa = 28 };

// More records of one answer are left out.
inline constexpr size_t kMaxRecords = 256;
inline constexpr size_t kMaxAliases = 16;

// The records of one type that a name has.
struct DnsRecords {
  std::vector<IpAddress> addresses;  // kA, kAaaa
  std::vector<std::string> names;    // kPtr
  // Where the chain of CNAME records ends.
  std::string canonical_name;
  // The shortest of the records used, those of the chain included.
  uint32_t ttl_seconds = 0;
};

// The records of `type` that `message` holds for `name` (canonical).
// NOT_FOUND: the server says that there is no such name, or no such record;
// UNAVAILABLE: the server could not tell, or the message is malformed.
absl::StatusOr<DnsRecords> ParseDnsAnswer(absl::string_view message, absl::string_view name,
                                          RecordType type);

// A query for one question, with an OPT record when `edns_bytes` (the UDP size that
// is offered) is not 0. `name` must be a host name.
std::string MakeDnsQuery(uint16_t id, absl::string_view name, RecordType type, uint16_t edns_bytes);

}  // namespace capbroker::hosts

#endif  // SERVICES_HOSTS_DNS_MESSAGE_H_
