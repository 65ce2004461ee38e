// capbroker.v1.ServiceControl: what the broker asks of a service process.
//
// Lives in: a service process. Called by: the broker alone.
#ifndef SERVING_PROCESS_CONTROL_SERVICE_H_
#define SERVING_PROCESS_CONTROL_SERVICE_H_

#include <google/protobuf/any.pb.h>

#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "capbroker/v1/control.grpc.pb.h"
#include "serving/call.h"
#include "serving/process/family_server.h"
#include "serving/service.h"

namespace capbroker::serving {

class ControlService final : public v1::ServiceControl::Service {
 public:
  // On the thread that reads the lane, one after another: no revocation overtakes the
  // installation of its channel.
  static constexpr bool kQuickHandlers = true;

  // Called once, with the first installation: confines the process to what the family was opened
  // with, and makes the object that serves and the family.
  using MakeFamily = std::function<absl::StatusOr<FamilyServer*>(
      const google::protobuf::Any& limits, ServiceInputs)>;
  explicit ControlService(MakeFamily make_family) : make_family_(std::move(make_family)) {}

  grpc::Status Install(grpc::ServerContext* context, const v1::InstallRequest* request,
                       v1::InstallResponse* response) override;
  grpc::Status Revoke(grpc::ServerContext* context, const v1::RevokeRequest* request,
                      v1::RevokeResponse* response) override;
  grpc::Status CheckHealth(grpc::ServerContext* context, const v1::CheckHealthRequest* request,
                           v1::CheckHealthResponse* response) override;

 private:
  absl::Status Install(Call& call, const v1::InstallRequest& request);

  const MakeFamily make_family_;
  FamilyServer* family_ = nullptr;
};

}  // namespace capbroker::serving

#endif  // SERVING_PROCESS_CONTROL_SERVICE_H_
