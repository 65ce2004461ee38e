// The one place where absl::Status and grpc::Status meet. Their codes are the
// same numbers. Runs in every process.
#ifndef TRANSPORT_GRPC_STATUS_H_
#define TRANSPORT_GRPC_STATUS_H_

#include <grpcpp/support/status.h>

#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "capbroker/v1/authority.pb.h"

namespace capbroker {

// Under this URL an absl::Status carries the serialised details of a
// grpc::Status, a capbroker.v1.RpcStatus.
inline constexpr absl::string_view kRpcStatusUrl = "type.googleapis.com/capbroker.v1.RpcStatus";

grpc::Status ToGrpcStatus(const absl::Status& status);
absl::Status FromGrpcStatus(const grpc::Status& status);

// Why a call was refused, if it was refused by a channel's limits or budget.
std::optional<v1::Denial> DenialOf(const grpc::Status& status);
std::optional<v1::Denial> DenialOf(const absl::Status& status);

}  // namespace capbroker

#endif  // TRANSPORT_GRPC_STATUS_H_
