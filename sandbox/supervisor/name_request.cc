#include "sandbox/supervisor/name_request.h"

#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <optional>

namespace capbroker::sandbox {
namespace {

constexpr int32_t kVersion = 2;
constexpr int32_t kDisabled = -1;

// The order of the protocol's enumeration.
enum RequestType : int32_t {
  kPasswordByName,
  kPasswordById,
  kGroupByName,
  kGroupById,
  kHostByName,
  kHostByName6,
  kHostByAddress,
  kHostByAddress6,
  kShutdown,
  kStatistics,
  kInvalidate,
  kMapPasswords,
  kMapGroups,
  kMapHosts,
  kAddresses,
  kInitialGroups,
  kServiceByName,
  kServiceByPort,
  kMapServices,
  kNetworkGroup,
  kInNetworkGroup,
  kMapNetworkGroups,
};

struct Header {
  int32_t version;
  int32_t type;
  int32_t key_size;
};
static_assert(kMostRequestBytes == sizeof(Header) + 1024);

// All numbers of an answer's header are of 32 bits.
std::string Words(std::initializer_list<int32_t> words) {
  std::string bytes;
  for (const int32_t word : words) {
    bytes.append(reinterpret_cast<const char*>(&word), sizeof word);
  }
  return bytes;
}

int32_t Size(const std::string& text) { return static_cast<int32_t>(text.size()); }

// What the C library makes of it: no such host, or ask again.
int32_t HostError(int error_number) { return error_number == EAGAIN ? TRY_AGAIN : HOST_NOT_FOUND; }

// For getaddrinfo().
std::string AddressesOf(const Outside::Host& host) {
  if (host.error_number != 0) return Words({kVersion, 0, 0, 0, 0, HostError(host.error_number)});
  std::string addresses, families;
  for (const std::string& address : host.addresses) {
    addresses += address;
    families.push_back(address.size() == 4 ? AF_INET : AF_INET6);
  }
  const std::string canonical = host.canonical_name + '\0';
  return Words({kVersion, 1, Size(families), Size(addresses), Size(canonical), 0}) + addresses +
         families + canonical;
}

// For gethostbyname(): addresses of one size, and no aliases.
std::string HostOf(const std::string& name, size_t size, const Outside::Host& host) {
  std::string addresses;
  for (const std::string& address : host.addresses) {
    if (address.size() == size) addresses += address;
  }
  if (addresses.empty()) {
    return Words({kVersion, 0, 0, 0, 0, 0, 0, HostError(host.error_number)});
  }
  const std::string canonical = (host.canonical_name.empty() ? name : host.canonical_name) + '\0';
  const auto count = static_cast<int32_t>(addresses.size() / size);
  return Words({kVersion, 1, Size(canonical), 0, size == 4 ? AF_INET : AF_INET6,
                static_cast<int32_t>(size), count, 0}) +
         canonical + addresses;
}

NameReply AnswerWithHost(int32_t type, const std::string& name, Outside& outside) {
  const Outside::Host host = outside.Find(name);
  return {.incomplete = false,
          .bytes = type == kAddresses ? AddressesOf(host)
                                      : HostOf(name, type == kHostByName ? 4 : 16, host),
          .host = NamedHost{name, host.error_number}};
}

// That nothing is known of it here.
std::string Decline(int32_t type) {
  switch (type) {
    case kPasswordByName:
    case kPasswordById:
      return Words({kVersion, kDisabled, 0, 0, 0, 0, 0, 0, 0});
    case kGroupByName:
    case kGroupById:
      return Words({kVersion, kDisabled, 0, 0, 0, 0});
    case kHostByAddress:
    case kHostByAddress6:
      return Words({kVersion, kDisabled, 0, 0, 0, 0, 0, 0});
    case kInitialGroups:
    case kInNetworkGroup:
      return Words({kVersion, kDisabled, 0});
    case kServiceByName:
    case kServiceByPort:
      return Words({kVersion, kDisabled, 0, 0, 0, 0});
    case kNetworkGroup:
      return Words({kVersion, kDisabled, 0, 0});
    default:
      return "";  // also of a shared mapping: the C library goes on to ask
  }
}

}  // namespace

// TRUST(worker): all of the request.
NameReply AnswerNameRequest(const std::string& request, Outside& outside) {
  Header header;
  if (request.size() < sizeof header)
    return {.incomplete = true, .bytes = "", .host = std::nullopt};
  std::memcpy(&header, request.data(), sizeof header);
  if (header.version != kVersion || header.key_size <= 0 ||
      header.key_size > static_cast<int32_t>(kMostRequestBytes - sizeof header)) {
    return {};
  }
  const size_t size = sizeof header + static_cast<size_t>(header.key_size);
  if (request.size() < size) return {.incomplete = true, .bytes = "", .host = std::nullopt};
  // One request, whose key is a string, and no other in it.
  std::string key = request.substr(sizeof header);
  if (request.size() > size || key.find('\0') != key.size() - 1) return {};
  key.pop_back();
  switch (header.type) {
    case kAddresses:
    case kHostByName:
    case kHostByName6:
      return AnswerWithHost(header.type, key, outside);
    default:
      return {.incomplete = false, .bytes = Decline(header.type), .host = std::nullopt};
  }
}

}  // namespace capbroker::sandbox
