#include "authority/cidr_set.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <utility>

#include "absl/numeric/bits.h"
#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace capbroker::authority {
namespace {

constexpr int kBitsV4 = 32;
constexpr int kBitsV6 = 128;
constexpr int kMappedPrefix = kBitsV6 - kBitsV4;
constexpr absl::uint128 kMapped = absl::MakeUint128(0, 0xffff'0000'0000);
constexpr absl::uint128 kLow32 = 0xffff'ffff;

absl::uint128 FromBytes(absl::string_view bytes) {
  absl::uint128 bits = 0;
  for (unsigned char byte : bytes) bits = bits << 8 | byte;
  return bits;
}

// The bits below a prefix of which `host_bits` remain.
absl::uint128 HostMask(int host_bits) {
  return host_bits == kBitsV6 ? ~absl::uint128(0) : (absl::uint128(1) << host_bits) - 1;
}

int TrailingZeros(absl::uint128 value) {
  if (value == 0) return kBitsV6;
  const uint64_t low = absl::Uint128Low64(value);
  return low != 0 ? absl::countr_zero(low) : 64 + absl::countr_zero(absl::Uint128High64(value));
}

}  // namespace

std::optional<Address> Address::FromPacked(absl::string_view bytes) {
  if (bytes.size() == 4) return Address{.v4 = true, .bits = FromBytes(bytes)};
  if (bytes.size() != 16) return std::nullopt;
  const absl::uint128 bits = FromBytes(bytes);
  if ((bits & ~kLow32) == kMapped) return Address{.v4 = true, .bits = bits & kLow32};
  return Address{.v4 = false, .bits = bits};
}

// TRUST(worker): `text` is what a request holds.
std::optional<Address> Address::FromText(absl::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> terminated = {};
  // A NUL would hide the rest of the text from inet_pton.
  if (text.size() >= terminated.size() || absl::StrContains(text, '\0')) return std::nullopt;
  std::memcpy(terminated.data(), text.data(), text.size());
  std::array<char, 16> packed = {};
  if (inet_pton(AF_INET, terminated.data(), packed.data()) == 1) {
    return FromPacked(absl::string_view(packed.data(), 4));
  }
  if (inet_pton(AF_INET6, terminated.data(), packed.data()) == 1) {
    return FromPacked(absl::string_view(packed.data(), 16));
  }
  return std::nullopt;
}

std::string Address::ToPacked() const {
  std::string packed(v4 ? 4 : 16, '\0');
  absl::uint128 rest = bits;
  for (auto byte = packed.rbegin(); byte != packed.rend(); ++byte, rest >>= 8) {
    *byte = static_cast<char>(absl::Uint128Low64(rest) & 0xff);
  }
  return packed;
}

std::string Address::ToText() const {
  std::array<char, INET6_ADDRSTRLEN> text = {};
  const std::string packed = ToPacked();
  inet_ntop(v4 ? AF_INET : AF_INET6, packed.data(), text.data(), text.size());
  return text.data();
}

absl::StatusOr<CidrSet> CidrSet::Make(const std::vector<std::string>& ranges) {
  CidrSet set;
  for (const std::string& range : ranges) {
    const absl::Status malformed = absl::InvalidArgumentError(
        absl::StrCat("\"", absl::CHexEscape(range.substr(0, 64)), "\" is not an address range"));
    const absl::string_view text = range;
    const size_t slash = text.find('/');
    const std::optional<Address> address = Address::FromText(text.substr(0, slash));
    if (!address.has_value()) return malformed;
    const bool written_as_v6 = absl::StrContains(text, ':');
    int prefix = written_as_v6 ? kBitsV6 : kBitsV4;
    if (slash != absl::string_view::npos) {
      const absl::string_view length = text.substr(slash + 1);
      int parsed = 0;
      if (!absl::SimpleAtoi(length, &parsed) || absl::StrCat(parsed) != length || parsed < 0 ||
          parsed > prefix) {
        return malformed;
      }
      prefix = parsed;
    }
    if (address->v4 && written_as_v6) {
      // A shorter prefix has bits of the mapped address below it.
      if (prefix < kMappedPrefix) return malformed;
      prefix -= kMappedPrefix;
    }
    const absl::uint128 hosts = HostMask((address->v4 ? kBitsV4 : kBitsV6) - prefix);
    if ((address->bits & hosts) != 0) return malformed;
    (address->v4 ? set.v4_ : set.v6_)
        .push_back({.first = address->bits, .last = address->bits | hosts});
  }
  set.v4_ = Canonical(std::move(set.v4_));
  set.v6_ = Canonical(std::move(set.v6_));
  return set;
}

CidrSet::Ranges CidrSet::Canonical(Ranges ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return a.first < b.first; });
  Ranges merged;
  for (const Range& range : ranges) {
    // "Adjacent" without computing last + 1, which overflows at the very end.
    if (!merged.empty() &&
        (range.first <= merged.back().last || range.first - 1 == merged.back().last)) {
      merged.back().last = std::max(merged.back().last, range.last);
    } else {
      merged.push_back(range);
    }
  }
  return merged;
}

bool CidrSet::Contains(const Ranges& ranges, absl::uint128 bits) {
  const auto after =
      std::upper_bound(ranges.begin(), ranges.end(), bits,
                       [](absl::uint128 value, const Range& range) { return value < range.first; });
  return after != ranges.begin() && bits <= std::prev(after)->last;
}

bool CidrSet::Contains(const Address& address) const {
  return Contains(address.v4 ? v4_ : v6_, address.bits);
}

bool CidrSet::ContainsText(absl::string_view address) const {
  const std::optional<Address> parsed = Address::FromText(address);
  return parsed.has_value() && Contains(*parsed);
}

bool CidrSet::ContainsPacked(absl::string_view address) const {
  const std::optional<Address> parsed = Address::FromPacked(address);
  return parsed.has_value() && Contains(*parsed);
}

std::vector<std::string> CidrSet::Entries() const {
  std::vector<std::string> entries;
  for (bool v4 : {true, false}) {
    const int width = v4 ? kBitsV4 : kBitsV6;
    for (const Range& range : v4 ? v4_ : v6_) {
      // The largest aligned prefix that fits, again and again.
      for (absl::uint128 first = range.first;;) {
        int host_bits = std::min(TrailingZeros(first), width);
        while ((first | HostMask(host_bits)) > range.last) --host_bits;
        const std::string address = Address{.v4 = v4, .bits = first}.ToText();
        entries.push_back(host_bits == 0 ? address : absl::StrCat(address, "/", width - host_bits));
        const absl::uint128 last = first | HostMask(host_bits);
        if (last == range.last) break;
        first = last + 1;
      }
    }
  }
  return entries;
}

CidrSet::Ranges CidrSet::Meet(const Ranges& a, const Ranges& b) {
  Ranges meet;
  for (auto i = a.begin(), j = b.begin(); i != a.end() && j != b.end();) {
    const absl::uint128 first = std::max(i->first, j->first);
    const absl::uint128 last = std::min(i->last, j->last);
    if (first <= last) meet.push_back({.first = first, .last = last});
    if (i->last < j->last) {
      ++i;
    } else {
      ++j;
    }
  }
  return Canonical(std::move(meet));
}

CidrSet Meet(const CidrSet& a, const CidrSet& b) {
  CidrSet meet;
  meet.v4_ = CidrSet::Meet(a.v4_, b.v4_);
  meet.v6_ = CidrSet::Meet(a.v6_, b.v6_);
  return meet;
}

}  // namespace capbroker::authority
