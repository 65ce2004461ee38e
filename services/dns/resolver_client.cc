#include "services/dns/resolver_client.h"

#include <grpcpp/client_context.h>

#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "transport/grpc_status.h"

namespace capbroker::dns {
namespace {

void SetTimeout(absl::Duration timeout, grpc::ClientContext& context) {
  if (timeout == absl::InfiniteDuration()) return;
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
}

absl::StatusOr<Resolution> ReadResponse(const v1::ResolveResponse& response) {
  Resolution resolution;
  for (const v1::Endpoint& endpoint : response.endpoints()) {
    const std::optional<IpAddress> address =
        IpAddress::FromPacked(endpoint.address(), endpoint.scope_id());
    if (!address.has_value() || endpoint.port() > 65535) {
      return absl::InternalError("the resolver gave a malformed endpoint");
    }
    resolution.endpoints.push_back(
        {.address = *address, .port = static_cast<uint16_t>(endpoint.port())});
  }
  if (resolution.endpoints.empty()) return absl::InternalError("the resolver gave no endpoint");
  resolution.canonical_name = response.canonical_name();
  resolution.time_to_live = absl::Seconds(response.ttl_seconds());
  return resolution;
}

}  // namespace

std::string Endpoint::ToText() const {
  if (port == 0) return address.ToText();
  if (address.is_v4()) return absl::StrCat(address.ToText(), ":", port);
  return absl::StrCat("[", address.ToText(), "]:", port);
}

absl::StatusOr<Resolution> Resolve(v1::Resolver::StubInterface& stub, absl::string_view name,
                                   const ResolveOptions& options) {
  v1::ResolveRequest request;
  request.set_name(std::string(name));
  for (v1::AddressFamily family : options.families) request.add_families(family);
  request.set_service(options.service);
  request.set_canonical_name(options.canonical_name);
  request.set_numeric_only(options.numeric_only);
  grpc::ClientContext context;
  SetTimeout(options.timeout, context);
  v1::ResolveResponse response;
  CB_RETURN_IF_ERROR(FromGrpcStatus(stub.Resolve(&context, request, &response)));
  return ReadResponse(response);
}

absl::StatusOr<std::vector<std::string>> ReverseResolve(v1::Resolver::StubInterface& stub,
                                                        const IpAddress& address,
                                                        absl::Duration timeout) {
  v1::ReverseResolveRequest request;
  request.set_address(std::string(address.packed()));
  grpc::ClientContext context;
  SetTimeout(timeout, context);
  v1::ReverseResolveResponse response;
  CB_RETURN_IF_ERROR(FromGrpcStatus(stub.ReverseResolve(&context, request, &response)));
  return std::vector<std::string>(response.names().begin(), response.names().end());
}

}  // namespace capbroker::dns
