#include "serving/channel/capability_service.h"

#include <google/protobuf/descriptor.pb.h>

#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "authority/channel_upkeep.h"
#include "authority/limits.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "serving/call.h"
#include "serving/channel/channel_state.h"
#include "transport/grpc_status.h"

namespace capbroker::serving {
namespace {

using authority::Limits;
using authority::UpkeepUnits;

// A wire is a gRPC server with threads of its own.
constexpr uint64_t kWireUnits = 100;
// Tens of KiB.
constexpr uint64_t kSchemaUnits = 50;

// The file and what it imports, imports first.
void AddFile(const google::protobuf::FileDescriptor& file, std::set<std::string>& added,
             google::protobuf::FileDescriptorSet& set) {
  if (!added.insert(file.name()).second) return;
  for (int i = 0; i < file.dependency_count(); ++i) AddFile(*file.dependency(i), added, set);
  file.CopyTo(set.add_file());
}

absl::Status Describe(ChannelState& channel, const v1::DescribeRequest& request,
                      v1::DescribeResponse& response) {
  CB_RETURN_IF_ERROR(channel.keeper().ChargeUpkeep(
      "Describe", request.with_schema() ? kSchemaUnits : UpkeepUnits(0)));
  const google::protobuf::ServiceDescriptor& service = channel.schema().descriptor();
  response.set_service(service.full_name());
  for (int i = 0; i < service.method_count(); ++i) {
    response.add_methods(service.method(i)->name());
  }
  response.set_wire(channel.wire());
  response.set_health(channel.keeper().successor() ? v1::DescribeResponse::SERVING_AS_SUCCESSOR
                                                   : v1::DescribeResponse::SERVING);
  const google::protobuf::Descriptor* const limits = channel.schema().limits_type();
  if (limits == nullptr) return absl::OkStatus();
  response.set_limits(limits->full_name());
  if (request.with_schema()) {
    std::set<std::string> added;
    google::protobuf::FileDescriptorSet set;
    AddFile(*limits->file(), added, set);
    set.SerializeToString(response.mutable_limits_schema());
  }
  return absl::OkStatus();
}

absl::Status GetLimits(Call& call, v1::GetLimitsResponse& response) {
  CB_RETURN_IF_ERROR(
      call.channel().keeper().ChargeUpkeep("GetLimits", UpkeepUnits(*call.limits())));
  *response.mutable_limits() = call.limits()->ToAny();
  return absl::OkStatus();
}

absl::Status Narrow(ChannelState& channel, const v1::NarrowRequest& request,
                    v1::NarrowResponse& response) {
  // Compiling and the meet cost as much as both sides are large.
  CB_RETURN_IF_ERROR(channel.keeper().ChargeUpkeep(
      "Narrow", UpkeepUnits(request.limits().value().size()) + UpkeepUnits(*channel.limits())));
  CB_ASSIGN_OR_RETURN(const std::shared_ptr<const Limits> requested,
                      Limits::Compile(channel.schema(), request.limits()));
  for (std::string& field : authority::WithoutEffect(*requested, *channel.limits())) {
    response.add_without_effect(std::move(field));
  }
  CB_ASSIGN_OR_RETURN(const std::shared_ptr<const Limits> in_force,
                      channel.keeper().Narrow(channel, *requested));
  *response.mutable_limits() = in_force->ToAny();
  return absl::OkStatus();
}

absl::StatusOr<ChannelKeeper::Cloned> Clone(Call& call) {
  ChannelKeeper& keeper = call.channel().keeper();
  CB_RETURN_IF_ERROR(keeper.ChargeUpkeep("Clone", UpkeepUnits(*call.limits())));
  return keeper.Clone(call.channel(), nullptr, nullptr);
}

absl::StatusOr<UniqueFd> OpenWire(ChannelState& channel) {
  if (!channel.wire()) return absl::FailedPreconditionError("the grant allows no wire");
  CB_RETURN_IF_ERROR(channel.keeper().ChargeUpkeep("OpenWire", kWireUnits));
  return channel.keeper().OpenWire(channel);
}

}  // namespace

grpc::Status CapabilityService::Describe(grpc::ServerContext* context,
                                         const v1::DescribeRequest* request,
                                         v1::DescribeResponse* response) {
  return ToGrpcStatus(serving::Describe(Call::Of(context).channel(), *request, *response));
}

grpc::Status CapabilityService::GetLimits(grpc::ServerContext* context, const v1::GetLimitsRequest*,
                                          v1::GetLimitsResponse* response) {
  return ToGrpcStatus(serving::GetLimits(Call::Of(context), *response));
}

grpc::Status CapabilityService::Narrow(grpc::ServerContext* context,
                                       const v1::NarrowRequest* request,
                                       v1::NarrowResponse* response) {
  return ToGrpcStatus(serving::Narrow(Call::Of(context).channel(), *request, *response));
}

grpc::Status CapabilityService::Clone(grpc::ServerContext* context, const v1::CloneRequest*,
                                      v1::CloneResponse* response) {
  Call& call = Call::Of(context);
  absl::StatusOr<ChannelKeeper::Cloned> clone = serving::Clone(call);
  if (!clone.ok()) return ToGrpcStatus(clone.status());
  response->set_number(clone->number);
  return call.Attach(std::move(clone->client_end), response->mutable_channel());
}

grpc::Status CapabilityService::Close(grpc::ServerContext* context, const v1::CloseRequest*,
                                      v1::CloseResponse*) {
  return Call::Of(context).EndChannel();
}

grpc::Status CapabilityService::OpenWire(grpc::ServerContext* context, const v1::OpenWireRequest*,
                                         v1::OpenWireResponse* response) {
  Call& call = Call::Of(context);
  absl::StatusOr<UniqueFd> client_end = serving::OpenWire(call.channel());
  if (!client_end.ok()) return ToGrpcStatus(client_end.status());
  return call.Attach(*std::move(client_end), response->mutable_wire());
}

}  // namespace capbroker::serving
