// The one place where absl::Status and grpc::Status meet. Their codes are the
// same numbers. Runs in every process.
#ifndef TRANSPORT_GRPC_STATUS_H_
#define TRANSPORT_GRPC_STATUS_H_

#include <grpcpp/support/status.h>

#include <optional>

#include "absl/status/status.h"
#include "capbroker/v1/authority.pb.h"

namespace capbroker {

// The payloads of the one are the details of the other, as a serialised
// capbroker.v1.RpcStatus, which is google.rpc.Status on the wire. Details in any
// other form do not survive the way into absl::Status.
grpc::Status ToGrpcStatus(const absl::Status& status);
absl::Status FromGrpcStatus(const grpc::Status& status);

// Why a call was refused, if it was refused by a channel's limits or budget.
std::optional<v1::Denial> DenialOf(const grpc::Status& status);
std::optional<v1::Denial> DenialOf(const absl::Status& status);

}  // namespace capbroker

#endif  // TRANSPORT_GRPC_STATUS_H_
