#include "services/net/listener_service.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "authority/limits.h"
#include "base/unique_fd.h"
#include "google/protobuf/message.h"
#include "services/hosts/ip_address.h"
#include "serving/call.h"
#include "transport/grpc_status.h"

namespace capbroker::net {
namespace {

using hosts::IpAddress;
using hosts::SocketAddress;
using Response = v1::ListenResponse;

constexpr uint32_t kDefaultBacklog = 128, kMostBacklog = 4096;

IpAddress AllAddresses(bool v4) { return *IpAddress::Parse(v4 ? "0.0.0.0" : "::"); }

// INVARIANT(object-checked-after-look): "0.0.0.0" in a range of half of all addresses is still all
// of them, so it is allowed only where it is named, or all are.
bool AllowsAll(const authority::Limits& limits, bool v4) {
  const auto* const message =
      google::protobuf::DynamicCastToGenerated<v1::ListenerLimits>(limits.message());
  if (message == nullptr) return false;
  const std::string all = AllAddresses(v4).ToText();
  return std::any_of(message->address_ranges().begin(), message->address_ranges().end(),
                     [&](const std::string& range) {
                       return range == all || range == absl::StrCat(all, "/0") ||
                              range == absl::StrCat(all, v4 ? "/32" : "/128");
                     });
}

bool Set(FdRef socket, int level, int option, int value) {
  return setsockopt(socket.get(), level, option, &value, sizeof value) == 0;
}

struct Listening {
  UniqueFd socket;
  uint16_t port = 0;
  int error_number = 0;
};

Listening Failure() { return {.socket = UniqueFd(), .port = 0, .error_number = errno}; }

Listening StartListening(const IpAddress& address, const v1::ListenRequest& request) {
  SocketAddress name = address.WithPort(static_cast<uint16_t>(request.port()));
  const int mode = SOCK_CLOEXEC | (request.nonblocking() ? SOCK_NONBLOCK : 0);
  UniqueFd socket(::socket(name.get()->sa_family, SOCK_STREAM | mode, IPPROTO_TCP));
  // Connections that have ended do not keep a server from its port. Linux lets nobody listen beside
  // another by it.
  if (!socket.valid() || !Set(socket, SOL_SOCKET, SO_REUSEADDR, 1)) return Failure();
  if (request.shares_port() && !Set(socket, SOL_SOCKET, SO_REUSEPORT, 1)) return Failure();
  // Whatever the host has for a default.
  if (!address.is_v4() && !Set(socket, IPPROTO_IPV6, IPV6_V6ONLY, request.v6_only())) {
    return Failure();
  }
  const uint32_t backlog =
      request.backlog() == 0 ? kDefaultBacklog : std::min(request.backlog(), kMostBacklog);
  if (bind(socket.get(), name.get(), name.length) != 0 ||
      listen(socket.get(), static_cast<int>(backlog)) != 0 ||
      getsockname(socket.get(), reinterpret_cast<sockaddr*>(&name.storage), &name.length) != 0) {
    return Failure();
  }
  const auto* const bytes = reinterpret_cast<const uint8_t*>(&name.storage);
  // At the same place in both families.
  return {.socket = std::move(socket), .port = static_cast<uint16_t>(bytes[2] << 8 | bytes[3])};
}

Response::Outcome OutcomeOf(int error_number) {
  switch (error_number) {
    case EADDRINUSE:
      return Response::ADDRESS_IN_USE;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
      return Response::ADDRESS_NOT_AVAILABLE;
    case EACCES:
    case EPERM:
      return Response::NO_PERMISSION;
    default:
      return Response::FAILED;
  }
}

grpc::Status Failed(absl::string_view why) {
  return ToGrpcStatus(absl::InvalidArgumentError(absl::StrCat("listen: ", why)));
}

}  // namespace

serving::ServiceNeeds ListenerService::Needs() {
  return {
      .tcp_servers = true,
      .as_opened =
          [](const google::protobuf::Any& any, const google::protobuf::Any&) {
            serving::ServiceReach reach;
            v1::ListenerLimits limits;
            if (!any.UnpackTo(&limits)) return reach;
            for (const std::string& port : limits.ports()) {
              uint32_t number = 0;
              if (port == "*") {
                reach.all_tcp_server_ports = true;
              } else if (absl::SimpleAtoi(port, &number) && number <= 65535) {
                reach.tcp_server_ports.push_back(static_cast<uint16_t>(number));
              }
            }
            return reach;
          },
  };
}

// TRUST(worker): the checker has looked at address and port, and nobody at the rest.
grpc::Status ListenerService::Listen(grpc::ServerContext* context, const v1::ListenRequest* request,
                                     v1::ListenResponse* response) {
  serving::Call& call = serving::Call::Of(context);
  if (!call.CanAttach()) return call.Attach(UniqueFd(), response->mutable_listener());
  if (request->port() > 65535) return Failed("no port number");
  std::optional<IpAddress> address = IpAddress::FromPacked(request->address());
  if (!address.has_value() || address->is_link_local_v6()) {
    return Failed("4 or 16 bytes, and of no link");
  }
  address = address->Unmapped();
  const bool v4 = address->is_v4();
  if (*address == AllAddresses(v4)) {
    const bool both = !v4 && !request->v6_only();
    if (!AllowsAll(*call.limits(), v4) || (both && !AllowsAll(*call.limits(), true))) {
      return call.Refuse("address_ranges");
    }
  }
  Listening listening = StartListening(*address, *request);
  if (!listening.socket.valid()) {
    response->set_outcome(OutcomeOf(listening.error_number));
    return grpc::Status::OK;
  }
  response->set_outcome(Response::LISTENING);
  response->set_port(listening.port);
  return call.Attach(std::move(listening.socket), response->mutable_listener());
}

}  // namespace capbroker::net
