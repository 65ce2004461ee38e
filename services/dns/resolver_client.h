// Names to addresses, for workers that have a channel of the Resolver service.
//
//   absl::StatusOr<dns::Resolution> found =
//       dns::Resolve(*stub, "example.org", {.service = "https"});
//   for (const dns::Endpoint& endpoint : found->endpoints) ...
//
// Statuses are those of the service (resolver.proto), with the denial in them:
// DenialOf() of transport/grpc_status.h.
//
// Lives in: workers, applications. Thread-safe if the stub is. May be used in a
// compromised process.
#ifndef SERVICES_DNS_RESOLVER_CLIENT_H_
#define SERVICES_DNS_RESOLVER_CLIENT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "capbroker/dns/v1/resolver.grpc.pb.h"
#include "services/hosts/ip_address.h"

namespace capbroker::dns {

using hosts::IpAddress;
using hosts::SocketAddress;

struct Endpoint {
  IpAddress address;
  uint16_t port = 0;  // 0 when no service was asked for

  // For connect(2), where that is granted.
  SocketAddress socket_address() const { return address.WithPort(port); }
  // "192.0.2.1:443", "[2001:db8::1]:443"; the address alone when the port is 0.
  std::string ToText() const;
};

struct Resolution {
  std::vector<Endpoint> endpoints;  // the one to try first is first; never empty
  std::string canonical_name;       // if it was asked for
  absl::Duration time_to_live;      // zero of files and numbers
};

struct ResolveOptions {
  // None: all that the limits allow.
  std::vector<v1::AddressFamily> families = {};
  // A service name or a port number.
  std::string service = {};
  bool canonical_name = false;
  // Takes a numeric address only.
  bool numeric_only = false;
  // DEADLINE_EXCEEDED after it.
  absl::Duration timeout = absl::InfiniteDuration();
};

absl::StatusOr<Resolution> Resolve(v1::Resolver::StubInterface& stub, absl::string_view name,
                                   const ResolveOptions& options = {});

// The names of `address`, the canonical ones first.
absl::StatusOr<std::vector<std::string>> ReverseResolve(
    v1::Resolver::StubInterface& stub, const IpAddress& address,
    absl::Duration timeout = absl::InfiniteDuration());

}  // namespace capbroker::dns

#endif  // SERVICES_DNS_RESOLVER_CLIENT_H_
