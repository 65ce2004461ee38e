#include "services/group/group_client.h"

#include <grpcpp/client_context.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "transport/grpc_status.h"

namespace capbroker::group {
namespace {

void SetTimeout(grpc::ClientContext& context, absl::Duration timeout) {
  if (timeout != absl::InfiniteDuration()) {
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  }
}

absl::StatusOr<std::optional<v1::Group>> AbsentAsNothing(absl::StatusOr<v1::Group> group) {
  if (absl::IsNotFound(group.status())) return std::nullopt;
  if (!group.ok()) return std::move(group).status();
  return *std::move(group);
}

}  // namespace

absl::StatusOr<v1::Group> Groups::FindByName(absl::string_view name) const {
  grpc::ClientContext context;
  SetTimeout(context, timeout_);
  v1::GetGroupByNameRequest request;
  request.set_name(std::string(name));
  v1::GetGroupByNameResponse response;
  CB_RETURN_IF_ERROR(FromGrpcStatus(stub_.GetGroupByName(&context, request, &response)));
  return std::move(*response.mutable_group());
}

absl::StatusOr<v1::Group> Groups::FindById(uint32_t id) const {
  grpc::ClientContext context;
  SetTimeout(context, timeout_);
  v1::GetGroupByIdRequest request;
  request.set_id(id);
  v1::GetGroupByIdResponse response;
  CB_RETURN_IF_ERROR(FromGrpcStatus(stub_.GetGroupById(&context, request, &response)));
  return std::move(*response.mutable_group());
}

absl::StatusOr<std::optional<v1::Group>> Groups::TryFindByName(absl::string_view name) const {
  return AbsentAsNothing(FindByName(name));
}

absl::StatusOr<std::optional<v1::Group>> Groups::TryFindById(uint32_t id) const {
  return AbsentAsNothing(FindById(id));
}

absl::StatusOr<std::vector<v1::Group>> Groups::List(size_t max_groups) const {
  grpc::ClientContext context;
  SetTimeout(context, timeout_);
  const std::unique_ptr<grpc::ClientReaderInterface<v1::ListGroupsResponse>> reader =
      stub_.ListGroups(&context, v1::ListGroupsRequest());
  std::vector<v1::Group> groups;
  v1::ListGroupsResponse batch;
  bool too_many = false;
  while (reader->Read(&batch)) {
    too_many = groups.size() + static_cast<size_t>(batch.groups_size()) > max_groups;
    if (too_many) break;
    for (v1::Group& group : *batch.mutable_groups()) groups.push_back(std::move(group));
  }
  if (too_many) context.TryCancel();
  const grpc::Status status = reader->Finish();
  if (too_many) return absl::ResourceExhaustedError("list groups: too many");
  CB_RETURN_IF_ERROR(FromGrpcStatus(status));
  return groups;
}

}  // namespace capbroker::group
