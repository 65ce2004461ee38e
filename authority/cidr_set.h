// LimitKind CIDRS: address ranges.
//
// "192.0.2.0/24", "2001:db8::/32" or a single address. An IPv4-mapped IPv6 address
// (::ffff:192.0.2.1) *is* its IPv4 address, in entries and in requests: only IPv4
// ranges bound it, and "::/0" does not allow it. Otherwise a grant of all of IPv6
// would be one of all of IPv4 to whoever spells addresses the long way.
//
// Lives in: service processes and the broker. Immutable; thread-safe.
#ifndef AUTHORITY_CIDR_SET_H_
#define AUTHORITY_CIDR_SET_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace capbroker::authority {

// An IPv4 or IPv6 address; mapped ones are IPv4.
struct Address {
  bool v4 = false;
  absl::uint128 bits = 0;  // of IPv4 the low 32

  static std::optional<Address> FromText(absl::string_view text);
  static std::optional<Address> FromPacked(absl::string_view bytes);  // 4 or 16
  std::string ToText() const;
  std::string ToPacked() const;
};

class CidrSet {
 public:
  CidrSet() = default;  // allows nothing
  // INVALID_ARGUMENT: an entry that is no range, or has bits set below its prefix.
  static absl::StatusOr<CidrSet> Make(const std::vector<std::string>& ranges);

  bool Contains(const Address& address) const;
  bool ContainsText(absl::string_view address) const;
  bool ContainsPacked(absl::string_view address) const;
  bool empty() const { return v4_.empty() && v6_.empty(); }

  // The canonical form: the fewest ranges, sorted, IPv4 first.
  std::vector<std::string> Entries() const;

  friend CidrSet Meet(const CidrSet& a, const CidrSet& b);
  friend bool operator==(const CidrSet&, const CidrSet&) = default;

 private:
  // All addresses from `first` to `last`.
  struct Range {
    absl::uint128 first;
    absl::uint128 last;
    friend bool operator==(const Range&, const Range&) = default;
  };
  // Of one family: sorted, disjoint, not adjacent.
  using Ranges = std::vector<Range>;
  static bool Contains(const Ranges& ranges, absl::uint128 bits);
  static Ranges Canonical(Ranges ranges);
  static Ranges Meet(const Ranges& a, const Ranges& b);

  Ranges v4_;
  Ranges v6_;
};

CidrSet Meet(const CidrSet& a, const CidrSet& b);

}  // namespace capbroker::authority

#endif  // AUTHORITY_CIDR_SET_H_
