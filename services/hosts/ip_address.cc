#include "services/hosts/ip_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace capbroker::hosts {

std::optional<IpAddress> IpAddress::FromPacked(absl::string_view bytes, uint32_t scope_id) {
  if (bytes.size() != 4 && bytes.size() != 16) return std::nullopt;
  IpAddress address;
  std::copy(bytes.begin(), bytes.end(), address.bytes_.begin());
  address.length_ = bytes.size();
  address.scope_id_ = scope_id;
  return address;
}

// TRUST(worker): `text` is what a request holds.
std::optional<IpAddress> IpAddress::Parse(absl::string_view text) {
  // A NUL would hide the rest of the text from inet_pton.
  if (absl::StrContains(text, '\0')) return std::nullopt;
  uint32_t scope_id = 0;
  const size_t percent = text.find('%');
  const bool scoped = percent != absl::string_view::npos;
  if (scoped) {
    const absl::string_view scope = text.substr(percent + 1);
    // One spelling for one number: no sign, space or leading zero.
    if (!absl::SimpleAtoi(scope, &scope_id) || scope_id == 0 || absl::StrCat(scope_id) != scope) {
      return std::nullopt;
    }
    text = text.substr(0, percent);
  }
  const std::string terminated(text);
  char packed[16];
  if (!scoped && inet_pton(AF_INET, terminated.c_str(), packed) == 1) {
    return FromPacked(absl::string_view(packed, 4));
  }
  if (inet_pton(AF_INET6, terminated.c_str(), packed) != 1) return std::nullopt;
  std::optional<IpAddress> address = FromPacked(absl::string_view(packed, 16), scope_id);
  if (scoped && !address->is_link_local_v6()) return std::nullopt;
  return address;
}

bool IpAddress::is_link_local_v6() const {
  if (length_ != 16) return false;
  if (bytes_[0] == 0xfe) return (bytes_[1] & 0xc0) == 0x80;
  return bytes_[0] == 0xff && ((bytes_[1] & 0x0f) == 1 || (bytes_[1] & 0x0f) == 2);
}

IpAddress IpAddress::Unmapped() const {
  constexpr absl::string_view kMapped("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
  if (!absl::StartsWith(packed(), kMapped)) return *this;
  return *FromPacked(packed().substr(kMapped.size()));
}

std::string IpAddress::ToText() const {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(is_v4() ? AF_INET : AF_INET6, bytes_.data(), text, sizeof(text));
  return scope_id_ == 0 ? std::string(text) : absl::StrCat(text, "%", scope_id_);
}

SocketAddress IpAddress::WithPort(uint16_t port) const {
  SocketAddress result;
  if (is_v4()) {
    sockaddr_in v4 = {};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, bytes_.data(), 4);
    std::memcpy(&result.storage, &v4, sizeof(v4));
    result.length = sizeof(v4);
  } else {
    sockaddr_in6 v6 = {};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&v6.sin6_addr, bytes_.data(), 16);
    v6.sin6_scope_id = scope_id_;
    std::memcpy(&result.storage, &v6, sizeof(v6));
    result.length = sizeof(v6);
  }
  return result;
}

}  // namespace capbroker::hosts
