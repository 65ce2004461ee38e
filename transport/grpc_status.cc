#include "transport/grpc_status.h"

#include <string>

namespace capbroker {
namespace {

std::optional<v1::Denial> DenialIn(const std::string& details) {
  v1::RpcStatus status;
  if (details.empty() || !status.ParseFromString(details)) return std::nullopt;
  for (const google::protobuf::Any& detail : status.details()) {
    v1::Denial denial;
    if (detail.UnpackTo(&denial)) return denial;
  }
  return std::nullopt;
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  std::string details;
  if (const auto payload = status.GetPayload(kRpcStatusUrl)) details = std::string(*payload);
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()),
                      details);
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  if (!status.ok() && !status.error_details().empty()) {
    result.SetPayload(kRpcStatusUrl, absl::Cord(status.error_details()));
  }
  return result;
}

std::optional<v1::Denial> DenialOf(const grpc::Status& status) {
  return DenialIn(status.error_details());
}

std::optional<v1::Denial> DenialOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kRpcStatusUrl);
  return payload ? DenialIn(std::string(*payload)) : std::nullopt;
}

}  // namespace capbroker
