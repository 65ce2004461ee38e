#include "serving/capability_service.h"

#include <memory>
#include <string>
#include <utility>

#include "authority/channel_upkeep.h"
#include "authority/limits.h"
#include "base/unique_fd.h"
#include "serving/call.h"
#include "serving/channel_state.h"
#include "transport/grpc_status.h"

namespace capbroker::serving {

using authority::Limits;
using authority::UpkeepUnits;

namespace {

// A wire is a gRPC server with threads of its own.
constexpr uint64_t kWireUnits = 100;

}  // namespace

grpc::Status CapabilityService::Describe(grpc::ServerContext* context, const v1::DescribeRequest*,
                                         v1::DescribeResponse* response) {
  ChannelState& channel = Call::Of(context).channel();
  if (const absl::Status charged = channel.keeper().ChargeUpkeep("Describe", UpkeepUnits(0));
      !charged.ok()) {
    return ToGrpcStatus(charged);
  }
  const google::protobuf::ServiceDescriptor& service = channel.schema().descriptor();
  response->set_service(service.full_name());
  for (int i = 0; i < service.method_count(); ++i) {
    response->add_methods(service.method(i)->name());
  }
  if (channel.schema().limits_type() != nullptr) {
    response->set_limits(channel.schema().limits_type()->full_name());
  }
  response->set_wire(channel.wire());
  return grpc::Status::OK;
}

grpc::Status CapabilityService::GetLimits(grpc::ServerContext* context, const v1::GetLimitsRequest*,
                                          v1::GetLimitsResponse* response) {
  Call& call = Call::Of(context);
  if (const absl::Status charged =
          call.channel().keeper().ChargeUpkeep("GetLimits", UpkeepUnits(*call.limits()));
      !charged.ok()) {
    return ToGrpcStatus(charged);
  }
  *response->mutable_limits() = call.limits()->ToAny();
  return grpc::Status::OK;
}

grpc::Status CapabilityService::Narrow(grpc::ServerContext* context,
                                       const v1::NarrowRequest* request,
                                       v1::NarrowResponse* response) {
  ChannelState& channel = Call::Of(context).channel();
  // Compiling and the meet cost as much as both sides are large.
  const uint64_t units =
      UpkeepUnits(request->limits().value().size()) + UpkeepUnits(*channel.limits());
  if (const absl::Status charged = channel.keeper().ChargeUpkeep("Narrow", units); !charged.ok()) {
    return ToGrpcStatus(charged);
  }
  const absl::StatusOr<std::shared_ptr<const Limits>> requested =
      Limits::Compile(channel.schema(), request->limits());
  if (!requested.ok()) return ToGrpcStatus(requested.status());
  for (std::string& field : authority::WithoutEffect(**requested, *channel.limits())) {
    response->add_without_effect(std::move(field));
  }
  const absl::StatusOr<std::shared_ptr<const Limits>> in_force =
      channel.keeper().Narrow(channel, **requested);
  if (!in_force.ok()) return ToGrpcStatus(in_force.status());
  *response->mutable_limits() = (*in_force)->ToAny();
  return grpc::Status::OK;
}

grpc::Status CapabilityService::Clone(grpc::ServerContext* context, const v1::CloneRequest*,
                                      v1::CloneResponse* response) {
  Call& call = Call::Of(context);
  if (const absl::Status charged =
          call.channel().keeper().ChargeUpkeep("Clone", UpkeepUnits(*call.limits()));
      !charged.ok()) {
    return ToGrpcStatus(charged);
  }
  absl::StatusOr<ChannelKeeper::Cloned> clone =
      call.channel().keeper().Clone(call.channel(), nullptr, nullptr);
  if (!clone.ok()) return ToGrpcStatus(clone.status());
  response->set_number(clone->number);
  return call.Attach(std::move(clone->client_end), response->mutable_channel());
}

grpc::Status CapabilityService::OpenWire(grpc::ServerContext* context, const v1::OpenWireRequest*,
                                         v1::OpenWireResponse* response) {
  Call& call = Call::Of(context);
  if (!call.channel().wire()) {
    return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "the grant allows no wire");
  }
  if (const absl::Status charged = call.channel().keeper().ChargeUpkeep("OpenWire", kWireUnits);
      !charged.ok()) {
    return ToGrpcStatus(charged);
  }
  absl::StatusOr<UniqueFd> client_end = call.channel().keeper().OpenWire(call.channel());
  if (!client_end.ok()) return ToGrpcStatus(client_end.status());
  return call.Attach(*std::move(client_end), response->mutable_wire());
}

}  // namespace capbroker::serving
