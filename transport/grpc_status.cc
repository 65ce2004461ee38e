#include "transport/grpc_status.h"

#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"

namespace capbroker {
namespace {

constexpr absl::string_view kDenialUrl = "type.googleapis.com/capbroker.v1.Denial";

// The payloads of `status` in the form in which gRPC carries details.
std::string Details(const absl::Status& status) {
  v1::RpcStatus details;
  status.ForEachPayload([&details](absl::string_view url, const absl::Cord& payload) {
    google::protobuf::Any* detail = details.add_details();
    detail->set_type_url(std::string(url));
    detail->set_value(std::string(payload));
  });
  if (details.details().empty()) return {};
  details.set_code(static_cast<int>(status.code()));
  details.set_message(std::string(status.message()));
  return details.SerializeAsString();
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()),
                      Details(status));
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  v1::RpcStatus details;
  if (status.ok() || !details.ParseFromString(status.error_details())) return result;
  for (const google::protobuf::Any& detail : details.details()) {
    result.SetPayload(detail.type_url(), absl::Cord(detail.value()));
  }
  return result;
}

std::optional<v1::Denial> DenialOf(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kDenialUrl);
  v1::Denial denial;
  if (!payload || !denial.ParseFromString(std::string(*payload))) return std::nullopt;
  return denial;
}

std::optional<v1::Denial> DenialOf(const grpc::Status& status) {
  return DenialOf(FromGrpcStatus(status));
}

}  // namespace capbroker
