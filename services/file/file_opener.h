// The FileOpener service: opens files for workers that cannot name any.
//
// What may be opened stands in the channel's limits. The generic checker has
// compared the request with them before a method here is called; what is left is
// what only the host can tell: where a path leads (route.h), and what is there
// (object_checks.h).
//
// Lives in: a service process. Caller: workers, not trusted. Thread-safe. Must be
// made where procfs is mounted and serve in the process that made it.
#ifndef SERVICES_FILE_FILE_OPENER_H_
#define SERVICES_FILE_FILE_OPENER_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>
#include <grpcpp/support/sync_stream.h>

#include "capbroker/file/v1/file_opener.grpc.pb.h"
#include "services/file/object_reopener.h"
#include "serving/service_needs.h"

namespace capbroker::file {

class FileOpenerService : public v1::FileOpener::Service {
 public:
  FileOpenerService() = default;

  // The files of the limits, and the user's rights over them.
  static serving::ServiceNeeds Needs();

  grpc::Status Open(grpc::ServerContext* context, const v1::OpenRequest* request,
                    v1::OpenResponse* response) override;
  grpc::Status OpenMany(grpc::ServerContext* context, const v1::OpenManyRequest* request,
                        v1::OpenManyResponse* response) override;
  grpc::Status Create(grpc::ServerContext* context, const v1::CreateRequest* request,
                      v1::CreateResponse* response) override;
  grpc::Status Stat(grpc::ServerContext* context, const v1::StatRequest* request,
                    v1::StatResponse* response) override;
  grpc::Status ReadLink(grpc::ServerContext* context, const v1::ReadLinkRequest* request,
                        v1::ReadLinkResponse* response) override;
  grpc::Status RealPath(grpc::ServerContext* context, const v1::RealPathRequest* request,
                        v1::RealPathResponse* response) override;
  grpc::Status ListDirectory(grpc::ServerContext* context, const v1::ListDirectoryRequest* request,
                             grpc::ServerWriter<v1::ListDirectoryResponse>* writer) override;
  grpc::Status ListDirectoryPage(grpc::ServerContext* context,
                                 const v1::ListDirectoryPageRequest* request,
                                 v1::ListDirectoryPageResponse* response) override;
  grpc::Status Read(grpc::ServerContext* context, const v1::ReadRequest* request,
                    v1::ReadResponse* response) override;
  grpc::Status Write(grpc::ServerContext* context, const v1::WriteRequest* request,
                     v1::WriteResponse* response) override;
  grpc::Status OpenDirectory(grpc::ServerContext* context, const v1::OpenDirectoryRequest* request,
                             v1::OpenDirectoryResponse* response) override;

 private:
  const ObjectReopener reopener_;
};

}  // namespace capbroker::file

#endif  // SERVICES_FILE_FILE_OPENER_H_
