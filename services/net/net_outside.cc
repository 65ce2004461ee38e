#include "services/net/net_outside.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "capbroker/net/v1/connector.capbroker.h"
#include "capbroker/net/v1/listener.capbroker.h"
#include "sandbox/supervisor/capability_errno.h"
#include "services/hosts/ip_address.h"
#include "services/net/connector_client.h"
#include "services/net/listening.h"
#include "transport/channel.h"
#include "transport/stub.h"

namespace capbroker::net {
namespace {

using hosts::IpAddress;
using sandbox::kEnotcapable;

// glibc waits five seconds for an answer, and then asks name servers itself.
constexpr absl::Duration kForNames = absl::Milliseconds(4500);
// Connecting is only started.
constexpr absl::Duration kForSockets = absl::Seconds(10);

int ErrnoOf(v1::ConnectAddressResponse::Outcome outcome) {
  using Response = v1::ConnectAddressResponse;
  switch (outcome) {
    case Response::CONNECTED:
      return 0;
    case Response::IN_PROGRESS:
      return EINPROGRESS;
    case Response::REFUSED:
      return ECONNREFUSED;
    case Response::NETWORK_UNREACHABLE:
      return ENETUNREACH;
    case Response::TIMED_OUT:
      return ETIMEDOUT;
    default:
      return EHOSTUNREACH;
  }
}

int ErrnoOf(v1::ListenResponse::Outcome outcome) {
  using Response = v1::ListenResponse;
  switch (outcome) {
    case Response::LISTENING:
      return 0;
    case Response::ADDRESS_IN_USE:
      return EADDRINUSE;
    case Response::ADDRESS_NOT_AVAILABLE:
      return EADDRNOTAVAIL;
    case Response::NO_PERMISSION:
      return EACCES;
    default:
      return ENOBUFS;
  }
}

// Of a call to connect or to listen that failed.
int ErrnoOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kInvalidArgument:
      return kEnotcapable;
    case absl::StatusCode::kResourceExhausted:
      return ENOBUFS;
    case absl::StatusCode::kUnavailable:
      return ECONNREFUSED;
    case absl::StatusCode::kDeadlineExceeded:
      return ETIMEDOUT;
    default:
      return ENETDOWN;
  }
}

// What connections that wait to be accepted may be: what most programs ask for is less.
constexpr uint32_t kBacklog = 512;

template <typename Service>
using Stubs = std::vector<std::unique_ptr<typename Service::StubInterface>>;

template <typename Service>
Stubs<Service> StubsOf(std::vector<UniqueFd> channels) {
  Stubs<Service> stubs;
  for (UniqueFd& lane : channels) {
    stubs.push_back(NewStub<Service>(std::make_shared<Channel>(std::move(lane))));
  }
  return stubs;
}

class NetOutside final : public sandbox::Outside {
 public:
  explicit NetOutside(sandbox::OutsideChannels channels)
      : connectors_(StubsOf<v1::Connector>(std::move(channels.connectors))),
        listeners_(StubsOf<v1::Listener>(std::move(channels.listeners))) {}

  Connection StartConnecting(const std::string& packed, uint16_t port) override {
    Connection refused = {.socket = UniqueFd(), .error_number = kEnotcapable};
    const std::optional<IpAddress> address = IpAddress::FromPacked(packed);
    if (!address.has_value()) return refused;
    for (const auto& stub : connectors_) {
      absl::StatusOr<AddressConnection> made =
          ConnectAddress(*stub, *address, port, {.nonblocking = true, .timeout = kForSockets});
      if (made.ok()) {
        return {.socket = std::move(made->socket), .error_number = ErrnoOf(made->outcome)};
      }
      // What another channel says is more than that this one may not.
      if (const int error = ErrnoOf(made.status()); error != kEnotcapable) {
        refused.error_number = error;
      }
    }
    return refused;
  }

  Server StartListening(const ServerName& name) override {
    Server refused = {.socket = UniqueFd(), .error_number = kEnotcapable};
    const std::optional<IpAddress> address = IpAddress::FromPacked(name.address);
    if (!address.has_value()) return refused;
    for (const auto& stub : listeners_) {
      absl::StatusOr<Listening> made = Listen(*stub, *address, name.port,
                                              {.backlog = kBacklog,
                                               .nonblocking = true,
                                               .shares_port = name.shares_port,
                                               .v6_only = name.v6_only,
                                               .timeout = kForSockets});
      if (made.ok()) {
        return {.socket = std::move(made->socket), .error_number = ErrnoOf(made->outcome)};
      }
      if (const int error = ErrnoOf(made.status()); error != kEnotcapable) {
        refused.error_number = error;
      }
    }
    return refused;
  }

  // All channels that may know are asked, since each connects to what it has told.
  Host Find(const std::string& name) override {
    Host host;
    host.error_number = kEnotcapable;
    const absl::Time until = absl::Now() + kForNames;
    for (const auto& stub : connectors_) {
      const absl::StatusOr<FoundHost> found = Lookup(*stub, name, {}, until - absl::Now());
      if (found.ok()) {
        AddTo(host, *found);
      } else if (host.error_number != 0 && !absl::IsPermissionDenied(found.status())) {
        const bool known =
            absl::IsNotFound(found.status()) || absl::IsInvalidArgument(found.status());
        host.error_number = known ? ENOENT : EAGAIN;
      }
    }
    return host;
  }

 private:
  static void AddTo(Host& host, const FoundHost& found) {
    host.error_number = 0;
    if (host.canonical_name.empty()) host.canonical_name = found.canonical_name;
    for (const IpAddress& address : found.addresses) {
      const std::string packed(address.packed());
      if (std::find(host.addresses.begin(), host.addresses.end(), packed) == host.addresses.end()) {
        host.addresses.push_back(packed);
      }
    }
  }

  const Stubs<v1::Connector> connectors_;
  const Stubs<v1::Listener> listeners_;
};

}  // namespace

std::unique_ptr<sandbox::Outside> MakeNetOutside(sandbox::OutsideChannels channels) {
  return std::make_unique<NetOutside>(std::move(channels));
}

}  // namespace capbroker::net
