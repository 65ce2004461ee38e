// TCP servers, for workers that have a channel of the Listener service.
//
//   absl::StatusOr<Listening> server = net::Listen(*stub, *IpAddress::Parse("127.0.0.1"), 8080);
//   UniqueFd connection(accept4(server->socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
//
// A worker accepts if it was started with WorkerOptions::accepts_connections. What it accepts is
// its own. Statuses are those of the service (listener.proto), with the denial in them: DenialOf()
// of transport/grpc_status.h.
//
// Lives in: workers, applications. Thread-safe if the stub is. May be used in a compromised
// process.
#ifndef SERVICES_NET_LISTENING_H_
#define SERVICES_NET_LISTENING_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "capbroker/net/v1/listener.grpc.pb.h"
#include "services/hosts/ip_address.h"

namespace capbroker::net {

struct ListenOptions {
  uint32_t backlog = 0;      // connections that wait to be accepted; 0: 128
  bool nonblocking = false;  // the socket has O_NONBLOCK, which a worker cannot set
  bool shares_port = false;  // SO_REUSEPORT
  bool v6_only = false;      // at "::": not all IPv4 addresses as well
  // DEADLINE_EXCEEDED after it.
  absl::Duration timeout = absl::InfiniteDuration();
};

struct Listening {
  // It listens, until the channel ends. When done with it, shutdown(2) it: close(2) alone leaves
  // the port taken. Invalid: the outcome says why.
  UniqueFd socket;
  v1::ListenResponse::Outcome outcome = v1::ListenResponse::OUTCOME_UNSPECIFIED;
  uint16_t port = 0;
};

// Port 0: one that the system chooses.
absl::StatusOr<Listening> Listen(v1::Listener::StubInterface& stub, const hosts::IpAddress& address,
                                 uint16_t port, const ListenOptions& options = {});

}  // namespace capbroker::net

#endif  // SERVICES_NET_LISTENING_H_
