#include "services/group/group_database.h"

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "authority/limits.h"
#include "services/group/group_source.h"
#include "serving/call.h"

namespace capbroker::group {
namespace {

using ::capbroker::authority::Limits;
using ::capbroker::serving::Call;

// What an enumeration may hold in memory for its caller, and send at once.
constexpr size_t kMaxListBytes = 16 << 20;
constexpr int kBatch = 64;
constexpr size_t kBatchBytes = 1 << 20;

grpc::Status Answer(absl::string_view action, const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                      absl::StrCat(action, ": ", status.message()));
}

// The limits field that does not allow `record`; empty when all do.
// INVARIANT(object-checked-after-look)
absl::string_view RefusingField(const Limits& limits, const GroupRecord& record) {
  if (!limits.SetContains("group_names", record.name)) return "group_names";
  if (!limits.SetContains("group_ids", absl::StrCat(record.id))) return "group_ids";
  return "";
}

// Fills in what the limits let be told.
void Tell(const Limits& limits, GroupRecord record, v1::Group* told) {
  if (limits.SetContains("fields", v1::GROUP_FIELD_NAME)) told->set_name(std::move(record.name));
  if (limits.SetContains("fields", v1::GROUP_FIELD_ID)) told->set_id(record.id);
  if (!limits.SetContains("fields", v1::GROUP_FIELD_MEMBERS)) return;
  v1::Members& members = *told->mutable_members();
  for (std::string& name : record.members) members.add_names(std::move(name));
}

template <typename Response>
grpc::Status Answer(const Call& call, absl::StatusOr<GroupRecord> record, Response* response) {
  if (!record.ok()) return Answer("get group", record.status());
  const Limits& limits = *call.limits();
  const absl::string_view refusing = RefusingField(limits, *record);
  if (!refusing.empty()) return call.Refuse(refusing);
  Tell(limits, *std::move(record), response->mutable_group());
  return grpc::Status::OK;
}

}  // namespace

serving::ServiceNeeds GroupDatabaseService::Needs() {
  return {
      .reads = {"/etc/group", "/etc/nsswitch.conf"},
      // libnss_systemd, libnss_sss, and the C library's cache.
      .local_sockets = {"/run/systemd/userdb/", "/var/lib/sss/pipes/group",
                        "/var/lib/sss/pipes/nss", "/var/run/nscd/socket"},
  };
}

void GroupDatabaseService::Prepare() { LoadGroupSources(); }

grpc::Status GroupDatabaseService::GetGroupByName(grpc::ServerContext* context,
                                                  const v1::GetGroupByNameRequest* request,
                                                  v1::GetGroupByNameResponse* response) {
  const Call& call = Call::Of(context);
  // TRUST(worker): the C library would look up what is before the NUL.
  if (request->name().find('\0') != std::string::npos) {
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "get group: name with a NUL");
  }
  return Answer(call, FindGroupByName(request->name()), response);
}

grpc::Status GroupDatabaseService::GetGroupById(grpc::ServerContext* context,
                                                const v1::GetGroupByIdRequest* request,
                                                v1::GetGroupByIdResponse* response) {
  return Answer(Call::Of(context), FindGroupById(request->id()), response);
}

grpc::Status GroupDatabaseService::ListGroups(grpc::ServerContext* context,
                                              const v1::ListGroupsRequest*,
                                              grpc::ServerWriter<v1::ListGroupsResponse>* writer) {
  const Limits& limits = *Call::Of(context).limits();
  // All of it before the first message: a caller that reads slowly would
  // otherwise keep the process's only cursor from the others.
  std::vector<v1::ListGroupsResponse> batches;
  size_t bytes = 0;
  size_t batch_bytes = 0;
  const auto cancelled = [context] { return context->IsCancelled(); };
  const absl::Status visited = VisitGroups(cancelled, [&](GroupRecord record) {
    if (cancelled()) return false;
    if (!RefusingField(limits, record).empty()) return true;
    v1::Group group;
    Tell(limits, std::move(record), &group);
    const size_t size = group.SpaceUsedLong();
    bytes += size;
    if (bytes > kMaxListBytes) return false;
    if (batches.empty() || batches.back().groups_size() == kBatch ||
        batch_bytes + size > kBatchBytes) {
      batches.emplace_back();
      batch_bytes = 0;
    }
    batch_bytes += size;
    *batches.back().add_groups() = std::move(group);
    return true;
  });
  if (!visited.ok()) return Answer("list groups", visited);
  if (bytes > kMaxListBytes) {
    return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "list groups: too many");
  }
  for (const v1::ListGroupsResponse& batch : batches) {
    if (!writer->Write(batch)) return grpc::Status::CANCELLED;
  }
  return cancelled() ? grpc::Status::CANCELLED : grpc::Status::OK;
}

}  // namespace capbroker::group
