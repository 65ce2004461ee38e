// An IPv4 or IPv6 address, as the answers of the resolver hold it.
//
// Runs in every process. A value; thread-safe as such.
#ifndef SERVICES_HOSTS_IP_ADDRESS_H_
#define SERVICES_HOSTS_IP_ADDRESS_H_

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace capbroker::hosts {

// What connect(2) and its like take.
struct SocketAddress {
  sockaddr_storage storage = {};
  socklen_t length = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

class IpAddress {
 public:
  // 4 or 16 bytes in network order; nothing otherwise.
  static std::optional<IpAddress> FromPacked(absl::string_view bytes, uint32_t scope_id = 0);

  // "192.0.2.1" in four decimal parts, "2001:db8::1", or "fe80::1%2": a scope as a
  // number, of link-local addresses only. Nothing for any other text, so also for
  // the short and the hexadecimal forms of inet_aton(3).
  static std::optional<IpAddress> Parse(absl::string_view text);

  bool is_v4() const { return length_ == 4; }
  // fe80::/10, or link-local multicast: means something only with its scope.
  bool is_link_local_v6() const;
  absl::string_view packed() const {
    return absl::string_view(reinterpret_cast<const char*>(bytes_.data()), length_);
  }
  uint32_t scope_id() const { return scope_id_; }

  // The IPv4 address that an IPv4-mapped one (::ffff:192.0.2.1) is; else itself.
  IpAddress Unmapped() const;

  // Without brackets; with the scope, if there is one.
  std::string ToText() const;
  SocketAddress WithPort(uint16_t port) const;

  friend bool operator==(const IpAddress&, const IpAddress&) = default;

 private:
  std::array<uint8_t, 16> bytes_ = {};
  size_t length_ = 0;
  uint32_t scope_id_ = 0;
};

}  // namespace capbroker::hosts

#endif  // SERVICES_HOSTS_IP_ADDRESS_H_
