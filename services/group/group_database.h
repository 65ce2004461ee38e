// The GroupDatabase service: the host's groups for workers that cannot read the
// database.
//
// The generic checker compares the name or the id that is asked for with the
// limits. What it cannot know before the look is the other one: a group that may
// be asked for by name has an id, and that must be allowed too.
//
// Lives in: a service process. Caller: workers, not trusted. Thread-safe.
#ifndef SERVICES_GROUP_GROUP_DATABASE_H_
#define SERVICES_GROUP_GROUP_DATABASE_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>
#include <grpcpp/support/sync_stream.h>

#include "capbroker/group/v1/group_database.grpc.pb.h"
#include "serving/service_needs.h"

namespace capbroker::group {

class GroupDatabaseService : public v1::GroupDatabase::Service {
 public:
  // What the sources that nsswitch.conf names need.
  static serving::ServiceNeeds Needs();
  // Loads them: a confined process maps no code.
  static void Prepare();

  grpc::Status GetGroupByName(grpc::ServerContext* context,
                              const v1::GetGroupByNameRequest* request,
                              v1::GetGroupByNameResponse* response) override;
  grpc::Status GetGroupById(grpc::ServerContext* context, const v1::GetGroupByIdRequest* request,
                            v1::GetGroupByIdResponse* response) override;
  grpc::Status ListGroups(grpc::ServerContext* context, const v1::ListGroupsRequest* request,
                          grpc::ServerWriter<v1::ListGroupsResponse>* writer) override;
};

}  // namespace capbroker::group

#endif  // SERVICES_GROUP_GROUP_DATABASE_H_
