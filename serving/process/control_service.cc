#include "serving/process/control_service.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "transport/bulk.h"
#include "transport/grpc_status.h"

namespace capbroker::serving {
namespace {

// What the object is made with; with the first batch.
absl::StatusOr<ServiceInputs> TakeInputs(Call& call, const v1::InstallRequest& request) {
  ServiceInputs inputs;
  if (request.upstream().slot() != 0) {
    CB_ASSIGN_OR_RETURN(UniqueFd lane, call.Take(request.upstream()));
    inputs.upstream = std::make_shared<UpstreamChannel>(std::move(lane));
  }
  if (request.settings().slot() != 0) {
    CB_ASSIGN_OR_RETURN(const UniqueFd memory, call.Take(request.settings()));
    CB_ASSIGN_OR_RETURN(const std::string bytes, transport::CopyWholeMessage(memory));
    if (!inputs.settings.ParseFromString(bytes)) {
      return absl::InvalidArgumentError("malformed settings");
    }
  }
  return inputs;
}

// The limits that the family was opened with: of its first channel, unless that has less by now.
absl::StatusOr<google::protobuf::Any> OpenedWith(Call& call, const v1::InstallRequest& request) {
  if (request.opened_with().slot() == 0) {
    return request.channels().empty() ? google::protobuf::Any() : request.channels(0).limits();
  }
  CB_ASSIGN_OR_RETURN(const UniqueFd memory, call.Take(request.opened_with()));
  CB_ASSIGN_OR_RETURN(const std::string bytes, transport::CopyWholeMessage(memory));
  google::protobuf::Any limits;
  if (!limits.ParseFromString(bytes)) return absl::InvalidArgumentError("malformed limits");
  return limits;
}

}  // namespace

grpc::Status ControlService::Install(grpc::ServerContext* context,
                                     const v1::InstallRequest* request, v1::InstallResponse*) {
  return ToGrpcStatus(Install(Call::Of(context), *request));
}

grpc::Status ControlService::Revoke(grpc::ServerContext*, const v1::RevokeRequest* request,
                                    v1::RevokeResponse* response) {
  if (family_ == nullptr) return grpc::Status::OK;
  for (const uint64_t channel : request->channels()) {
    const std::shared_ptr<const ChannelState> state = family_->Revoke(channel);
    if (state == nullptr) continue;
    v1::RevokeResponse::Delivered delivered;
    delivered.set_channel(channel);
    delivered.set_shut_down(state->deliveries().shut_down());
    state->deliveries().Tell(delivered.mutable_deliveries());
    *response->add_delivered() = std::move(delivered);
  }
  return grpc::Status::OK;
}

grpc::Status ControlService::CheckHealth(grpc::ServerContext*, const v1::CheckHealthRequest*,
                                         v1::CheckHealthResponse* response) {
  response->set_channels(family_ == nullptr ? 0 : static_cast<uint32_t>(family_->channels()));
  return grpc::Status::OK;
}

absl::Status ControlService::Install(Call& call, const v1::InstallRequest& request) {
  if (family_ == nullptr) {
    CB_ASSIGN_OR_RETURN(ServiceInputs inputs, TakeInputs(call, request));
    CB_ASSIGN_OR_RETURN(const google::protobuf::Any limits, OpenedWith(call, request));
    CB_ASSIGN_OR_RETURN(family_, make_family_(limits, std::move(inputs)));
  }
  std::optional<v1::BudgetUsage> usage;
  if (request.usage().slot() != 0) {
    CB_ASSIGN_OR_RETURN(const UniqueFd memory, call.Take(request.usage()));
    CB_ASSIGN_OR_RETURN(const std::string bytes, transport::CopyWholeMessage(memory));
    if (!usage.emplace().ParseFromString(bytes)) {
      return absl::InvalidArgumentError("malformed usage");
    }
  }
  CB_RETURN_IF_ERROR(family_->SetAccount(request.budget(), usage ? &*usage : nullptr));
  if (request.has_audit()) family_->SetAudit(request.audit());
  for (const v1::ChannelRecord& record : request.channels()) {
    CB_ASSIGN_OR_RETURN(UniqueFd lane, call.Take(record.service_end()));
    CB_RETURN_IF_ERROR(family_->Add(record, std::move(lane), request.wire(), request.successor()));
  }
  return absl::OkStatus();
}

}  // namespace capbroker::serving
