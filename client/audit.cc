#include "client/audit.h"

#include <grpcpp/client_context.h>

#include "base/status_macros.h"
#include "capbroker/v1/broker.pb.h"
#include "client/broker_link.h"

namespace capbroker {

absl::StatusOr<std::vector<v1::AuditEvent>> Audit::Next(absl::Duration wait) {
  grpc::ClientContext context;
  v1::ReadAuditRequest request;
  absl::Duration rest;
  request.mutable_wait()->set_seconds(absl::IDivDuration(wait, absl::Seconds(1), &rest));
  request.mutable_wait()->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
  v1::ReadAuditResponse response;
  CB_RETURN_IF_ERROR(link_->Call(BrokerMethod::kReadAudit, &context, request, &response));
  return std::vector<v1::AuditEvent>(std::make_move_iterator(response.mutable_events()->begin()),
                                     std::make_move_iterator(response.mutable_events()->end()));
}

}  // namespace capbroker
