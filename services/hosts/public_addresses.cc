#include "services/hosts/public_addresses.h"

#include <algorithm>
#include <cstdint>

#include "absl/numeric/int128.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "services/hosts/ip_address.h"

namespace capbroker::hosts {
namespace {

// IPv4 addresses as the low 32 bits below `kNat64` or below nothing.
struct Prefix {
  absl::uint128 bits = 0;
  int length = 0;  // counted from the top of 128 bits
};

constexpr int kBits = 128;
constexpr int kV4Offset = 96;

absl::uint128 Mask(int length) {
  return length == 0 ? absl::uint128(0) : ~absl::uint128(0) << (kBits - length);
}

bool Contains(const Prefix& outer, const Prefix& inner) {
  return outer.length <= inner.length && (inner.bits & Mask(outer.length)) == outer.bits;
}

// Of the constants below only, so well-formed.
Prefix ParsePrefix(absl::string_view text) {
  const std::vector<std::string> parts = absl::StrSplit(text, '/');
  const IpAddress address = *IpAddress::Parse(parts[0]);
  Prefix prefix;
  for (char byte : address.packed()) prefix.bits = prefix.bits << 8 | static_cast<uint8_t>(byte);
  prefix.length = std::stoi(parts[1]) + (address.is_v4() ? kV4Offset : 0);
  return prefix;
}

std::string ToText(const Prefix& prefix, bool v4) {
  std::string packed;
  for (int shift = v4 ? 24 : 120; shift >= 0; shift -= 8) {
    packed.push_back(static_cast<char>(absl::Uint128Low64(prefix.bits >> shift) & 0xff));
  }
  return absl::StrCat(IpAddress::FromPacked(packed)->ToText(), "/",
                      prefix.length - (v4 ? kV4Offset : 0));
}

// Appends the fewest prefixes that make up `whole` without `excluded`.
void AppendRest(const Prefix& whole, const std::vector<Prefix>& excluded,
                std::vector<Prefix>& rest) {
  const auto covers = [&whole](const Prefix& other) { return Contains(other, whole); };
  if (std::any_of(excluded.begin(), excluded.end(), covers)) return;
  const auto overlaps = [&whole](const Prefix& other) { return Contains(whole, other); };
  if (std::none_of(excluded.begin(), excluded.end(), overlaps)) {
    rest.push_back(whole);
    return;
  }
  const int length = whole.length + 1;
  AppendRest({whole.bits, length}, excluded, rest);
  AppendRest({whole.bits | absl::uint128(1) << (kBits - length), length}, excluded, rest);
}

constexpr const char* kSpecialV4[] = {
    "0.0.0.0/8",        // this network
    "10.0.0.0/8",       // private
    "100.64.0.0/10",    // carrier-grade NAT
    "127.0.0.0/8",      // loopback
    "169.254.0.0/16",   // link-local, and the metadata of clouds
    "172.16.0.0/12",    // private
    "192.0.0.0/24",     // protocol assignments
    "192.0.2.0/24",     // documentation
    "192.88.99.0/24",   // 6to4 relays
    "192.168.0.0/16",   // private
    "198.18.0.0/15",    // benchmarks
    "198.51.100.0/24",  // documentation
    "203.0.113.0/24",   // documentation
    "224.0.0.0/4",      // multicast
    "240.0.0.0/4",      // reserved, broadcast
};
constexpr char kGlobalV6[] = "2000::/3";
constexpr const char* kSpecialV6[] = {
    "2001::/23",      // protocol assignments, Teredo
    "2001:db8::/32",  // documentation
    "2002::/16",      // 6to4
    "3ffe::/16",      // 6bone
    "3fff::/20",      // documentation
};
constexpr char kNat64[] = "64:ff9b::/96";

}  // namespace

std::vector<std::string> PublicAddressRanges() {
  std::vector<Prefix> special;
  for (const char* range : kSpecialV4) special.push_back(ParsePrefix(range));
  std::vector<Prefix> public_v4;
  AppendRest({.bits = 0, .length = kV4Offset}, special, public_v4);
  special.clear();
  for (const char* range : kSpecialV6) special.push_back(ParsePrefix(range));
  std::vector<Prefix> public_v6;
  AppendRest(ParsePrefix(kGlobalV6), special, public_v6);

  std::vector<std::string> ranges;
  for (const Prefix& prefix : public_v4) ranges.push_back(ToText(prefix, /*v4=*/true));
  for (const Prefix& prefix : public_v6) ranges.push_back(ToText(prefix, /*v4=*/false));
  const absl::uint128 nat64 = ParsePrefix(kNat64).bits;
  for (const Prefix& prefix : public_v4) {
    ranges.push_back(ToText({nat64 | prefix.bits, prefix.length}, /*v4=*/false));
  }
  return ranges;
}

}  // namespace capbroker::hosts
