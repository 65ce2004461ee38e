#include "services/net/connector_client.h"

#include <grpcpp/client_context.h>

#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "transport/call_descriptors.h"
#include "transport/grpc_status.h"

namespace capbroker::net {
namespace {

using hosts::IpAddress;

void SetTimeout(absl::Duration timeout, grpc::ClientContext& context) {
  if (timeout == absl::InfiniteDuration()) return;
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
}

}  // namespace

absl::StatusOr<UniqueFd> Connect(v1::Connector::StubInterface& stub, absl::string_view name,
                                 uint16_t port, const ConnectOptions& options) {
  v1::ConnectRequest request;
  request.set_name(std::string(name));
  request.set_port(port);
  request.set_nonblocking(options.nonblocking);
  grpc::ClientContext context;
  SetTimeout(options.timeout, context);
  CallDescriptors descriptors(&context);
  v1::ConnectResponse response;
  CB_RETURN_IF_ERROR(FromGrpcStatus(stub.Connect(&context, request, &response)));
  return descriptors.Take(response.connection());
}

absl::StatusOr<FoundHost> Lookup(v1::Connector::StubInterface& stub, absl::string_view name,
                                 const std::vector<v1::AddressFamily>& families,
                                 absl::Duration timeout) {
  v1::LookupRequest request;
  request.set_name(std::string(name));
  for (v1::AddressFamily family : families) request.add_families(family);
  grpc::ClientContext context;
  SetTimeout(timeout, context);
  v1::LookupResponse response;
  CB_RETURN_IF_ERROR(FromGrpcStatus(stub.Lookup(&context, request, &response)));
  FoundHost found;
  for (const std::string& packed : response.addresses()) {
    const std::optional<IpAddress> address = IpAddress::FromPacked(packed);
    if (!address.has_value()) return absl::InternalError("the connector gave no address");
    found.addresses.push_back(*address);
  }
  if (found.addresses.empty()) return absl::InternalError("the connector gave no address");
  found.canonical_name = response.canonical_name();
  found.time_to_live = absl::Seconds(response.ttl_seconds());
  return found;
}

absl::StatusOr<AddressConnection> ConnectAddress(v1::Connector::StubInterface& stub,
                                                 const IpAddress& address, uint16_t port,
                                                 const ConnectOptions& options) {
  v1::ConnectAddressRequest request;
  request.set_address(std::string(address.packed()));
  request.set_port(port);
  request.set_nonblocking(options.nonblocking);
  grpc::ClientContext context;
  SetTimeout(options.timeout, context);
  CallDescriptors descriptors(&context);
  v1::ConnectAddressResponse response;
  CB_RETURN_IF_ERROR(FromGrpcStatus(stub.ConnectAddress(&context, request, &response)));
  AddressConnection connection;
  connection.outcome = response.outcome();
  if (response.has_connection()) {
    CB_ASSIGN_OR_RETURN(connection.socket, descriptors.Take(response.connection()));
  }
  return connection;
}

}  // namespace capbroker::net
