#include "services/hosts/address_order.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <utility>

#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace capbroker::hosts {
namespace {

using Bytes = std::array<uint8_t, 16>;

// IPv4 as IPv4-mapped: the policy table has one line for both.
Bytes AsV6(const IpAddress& address) {
  Bytes bytes = {};
  if (address.is_v4()) bytes[10] = bytes[11] = 0xff;
  std::memcpy(&bytes[16 - address.packed().size()], address.packed().data(),
              address.packed().size());
  return bytes;
}

int CommonPrefixBits(const Bytes& a, const Bytes& b) {
  for (int bit = 0; bit < 128; ++bit) {
    const uint8_t mask = static_cast<uint8_t>(0x80 >> (bit % 8));
    const size_t byte = static_cast<size_t>(bit) / 8;
    if (((a[byte] ^ b[byte]) & mask) != 0) return bit;
  }
  return 128;
}

struct Policy {
  Bytes prefix;
  int bits;
  int precedence;
  int label;
};

// RFC 6724 section 2.1, the longest prefixes first.
constexpr Policy kPolicies[] = {
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128, 50, 0},  // ::1
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96, 35, 4},         // ::ffff:0:0
    {{}, 96, 1, 3},                                                  // ::
    {{0x20, 0x01, 0, 0}, 32, 5, 5},                                  // 2001::
    {{0x20, 0x02}, 16, 30, 2},                                       // 2002::
    {{0x3f, 0xfe}, 16, 1, 12},                                       // 3ffe::
    {{0xfe, 0xc0}, 10, 1, 11},                                       // fec0::
    {{0xfc}, 7, 3, 13},                                              // fc00::
    {{}, 0, 40, 1},                                                  // all others
};

const Policy& PolicyOf(const Bytes& address) {
  for (const Policy& policy : kPolicies) {
    if (CommonPrefixBits(address, policy.prefix) >= policy.bits) return policy;
  }
  return kPolicies[std::size(kPolicies) - 1];
}

// RFC 6724 section 3.
int ScopeOf(const Bytes& address) {
  constexpr int kLinkLocal = 2;
  constexpr int kSiteLocal = 5;
  constexpr int kGlobal = 14;
  if (PolicyOf(address).precedence == 35) {
    const bool loopback = address[12] == 127;
    const bool link_local = address[12] == 169 && address[13] == 254;
    return loopback || link_local ? kLinkLocal : kGlobal;
  }
  if (address[0] == 0xff) return address[1] & 0xf;
  if (PolicyOf(address).precedence == 50) return kLinkLocal;
  if (address[0] == 0xfe && (address[1] & 0xc0) == 0x80) return kLinkLocal;
  if (address[0] == 0xfe && (address[1] & 0xc0) == 0xc0) return kSiteLocal;
  return kGlobal;
}

// Less is better, rule by rule.
using Rank = std::tuple<bool, bool, bool, int, int, int>;

Rank RankOf(const Destination& destination) {
  const Bytes address = AsV6(destination.address);
  const Policy& policy = PolicyOf(address);
  const int scope = ScopeOf(address);
  if (!destination.source.has_value()) return {true, true, true, -policy.precedence, scope, 0};
  const Bytes source = AsV6(*destination.source);
  // Beyond the subnet's prefix equal bits mean nothing. This leaves out IPv4, which is
  // below ::ffff:0:0/96: there the rule would defeat the balancing of load by the order
  // of answers.
  constexpr int kSubnetBits = 64;
  const int common = std::min(CommonPrefixBits(address, source), kSubnetBits);
  return {false,
          ScopeOf(source) != scope,
          PolicyOf(source).label != policy.label,
          -policy.precedence,
          scope,
          -common};
}

// The address that the kernel would send from.
std::optional<IpAddress> SourceFor(const IpAddress& address) {
  // A new socket each time: a connected one keeps its source address.
  const UniqueFd probe(
      socket(address.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP));
  constexpr uint16_t kAnyPort = 53;
  const SocketAddress target = address.WithPort(kAnyPort);
  if (!probe.valid() || connect(probe.get(), target.get(), target.length) != 0) {
    return std::nullopt;
  }
  SocketAddress local;
  local.length = sizeof(local.storage);
  if (getsockname(probe.get(), reinterpret_cast<sockaddr*>(&local.storage), &local.length) != 0) {
    return std::nullopt;
  }
  const char* const bytes = reinterpret_cast<const char*>(&local.storage);
  return address.is_v4() ? IpAddress::FromPacked({bytes + offsetof(sockaddr_in, sin_addr), 4})
                         : IpAddress::FromPacked({bytes + offsetof(sockaddr_in6, sin6_addr), 16});
}

}  // namespace

std::vector<IpAddress> OrderDestinations(const std::vector<Destination>& destinations) {
  std::vector<std::pair<Rank, const IpAddress*>> ranked;
  ranked.reserve(destinations.size());
  for (const Destination& destination : destinations) {
    ranked.emplace_back(RankOf(destination), &destination.address);
  }
  // Stable: rule 10 keeps the order of the answer.
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<IpAddress> addresses;
  addresses.reserve(ranked.size());
  for (const auto& [rank, address] : ranked) addresses.push_back(*address);
  return addresses;
}

std::vector<IpAddress> OrderAddresses(const std::vector<IpAddress>& addresses) {
  if (addresses.size() < 2) return addresses;
  std::vector<Destination> destinations;
  destinations.reserve(addresses.size());
  for (const IpAddress& address : addresses) {
    destinations.push_back({.address = address, .source = SourceFor(address)});
  }
  return OrderDestinations(destinations);
}

}  // namespace capbroker::hosts
