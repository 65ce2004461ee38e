#include "services/net/listening.h"

#include <grpcpp/client_context.h>

#include <string>

#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "transport/call_descriptors.h"
#include "transport/grpc_status.h"

namespace capbroker::net {

absl::StatusOr<Listening> Listen(v1::Listener::StubInterface& stub, const hosts::IpAddress& address,
                                 uint16_t port, const ListenOptions& options) {
  v1::ListenRequest request;
  request.set_address(std::string(address.packed()));
  request.set_port(port);
  request.set_backlog(options.backlog);
  request.set_nonblocking(options.nonblocking);
  request.set_shares_port(options.shares_port);
  request.set_v6_only(options.v6_only);
  grpc::ClientContext context;
  if (options.timeout != absl::InfiniteDuration()) {
    context.set_deadline(absl::ToChronoTime(absl::Now() + options.timeout));
  }
  CallDescriptors descriptors(&context);
  v1::ListenResponse response;
  CB_RETURN_IF_ERROR(FromGrpcStatus(stub.Listen(&context, request, &response)));
  Listening listening;
  listening.outcome = response.outcome();
  listening.port = static_cast<uint16_t>(response.port());
  if (response.has_listener()) {
    CB_ASSIGN_OR_RETURN(listening.socket, descriptors.Take(response.listener()));
  }
  return listening;
}

}  // namespace capbroker::net
