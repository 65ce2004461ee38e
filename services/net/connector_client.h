// TCP connections, for workers that have a channel of the Connector service.
//
//   absl::StatusOr<UniqueFd> connection = net::Connect(*stub, "example.org", 443);
//
// Statuses are those of the service (connector.proto), with the denial in them: DenialOf() of
// transport/grpc_status.h.
//
// Lives in: workers, applications. Thread-safe if the stub is. May be used in a compromised
// process.
#ifndef SERVICES_NET_CONNECTOR_CLIENT_H_
#define SERVICES_NET_CONNECTOR_CLIENT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "capbroker/net/v1/connector.grpc.pb.h"
#include "services/hosts/ip_address.h"

namespace capbroker::net {

struct ConnectOptions {
  // The connection has O_NONBLOCK, which a worker cannot set.
  bool nonblocking = false;
  // DEADLINE_EXCEEDED after it.
  absl::Duration timeout = absl::InfiniteDuration();
};

// Shut down when the channel ends. When done with it, shutdown(2) it: close(2) alone leaves the
// connection open.
absl::StatusOr<UniqueFd> Connect(v1::Connector::StubInterface& stub, absl::string_view name,
                                 uint16_t port, const ConnectOptions& options = {});

struct FoundHost {
  std::vector<hosts::IpAddress> addresses;  // the one to try first is first; never empty
  std::string canonical_name;
  absl::Duration time_to_live;
};

// The families that are wanted; none: all that the limits allow.
absl::StatusOr<FoundHost> Lookup(v1::Connector::StubInterface& stub, absl::string_view name,
                                 const std::vector<v1::AddressFamily>& families = {},
                                 absl::Duration timeout = absl::InfiniteDuration());

struct AddressConnection {
  // Invalid: the outcome says why.
  UniqueFd socket;
  v1::ConnectAddressResponse::Outcome outcome = v1::ConnectAddressResponse::OUTCOME_UNSPECIFIED;
};

absl::StatusOr<AddressConnection> ConnectAddress(v1::Connector::StubInterface& stub,
                                                 const hosts::IpAddress& address, uint16_t port,
                                                 const ConnectOptions& options = {});

}  // namespace capbroker::net

#endif  // SERVICES_NET_CONNECTOR_CLIENT_H_
