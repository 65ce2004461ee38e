#include "serving/service_process.h"

#include <google/protobuf/stubs/logging.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/internal/raw_logging.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/freed_memory.h"
#include "base/status_macros.h"
#include "capbroker/v1/capability.dispatch.h"
#include "capbroker/v1/control.capbroker.h"
#include "capbroker/v1/control.dispatch.h"
#include "serving/call.h"
#include "serving/capability_service.h"
#include "serving/event_loop.h"
#include "serving/family_server.h"
#include "serving/lane_server.h"
#include "serving/prepared_service.h"
#include "serving/service_needs.h"
#include "serving/succession.h"
#include "transport/bulk.h"
#include "transport/grpc_status.h"

namespace capbroker::serving {
namespace {

constexpr int kFailedToStart = 1;
constexpr absl::Duration kLeastLife = absl::Seconds(3);

// What the broker asks of the process.
class ControlService final : public v1::ServiceControl::Service {
 public:
  // On the thread that reads the lane, one after another: no revocation overtakes the
  // installation of its channel.
  static constexpr bool kQuickHandlers = true;

  // Confines the process to what the family was opened with, and makes the object that serves
  // and the family.
  using MakeFamily = std::function<absl::StatusOr<FamilyServer*>(
      const google::protobuf::Any& limits, ServiceInputs)>;
  explicit ControlService(MakeFamily make_family) : make_family_(std::move(make_family)) {}

  grpc::Status Install(grpc::ServerContext* context, const v1::InstallRequest* request,
                       v1::InstallResponse*) override {
    return ToGrpcStatus(Install(Call::Of(context), *request));
  }

  grpc::Status Revoke(grpc::ServerContext*, const v1::RevokeRequest* request,
                      v1::RevokeResponse* response) override {
    if (family_ == nullptr) return grpc::Status::OK;
    for (const uint64_t channel : request->channels()) {
      const std::shared_ptr<const ChannelState> state = family_->Revoke(channel);
      if (state == nullptr) continue;
      v1::RevokeResponse::Delivered delivered;
      delivered.set_channel(channel);
      delivered.set_shut_down(state->deliveries().shut_down());
      state->deliveries().Tell(delivered.mutable_deliveries());
      *response->add_delivered() = std::move(delivered);
    }
    return grpc::Status::OK;
  }

  grpc::Status CheckHealth(grpc::ServerContext*, const v1::CheckHealthRequest*,
                           v1::CheckHealthResponse* response) override {
    response->set_channels(family_ == nullptr ? 0 : static_cast<uint32_t>(family_->channels()));
    return grpc::Status::OK;
  }

 private:
  // What the object is made with; with the first batch.
  static absl::StatusOr<ServiceInputs> TakeInputs(Call& call, const v1::InstallRequest& request) {
    ServiceInputs inputs;
    if (request.upstream().slot() != 0) {
      CB_ASSIGN_OR_RETURN(UniqueFd lane, call.Take(request.upstream()));
      inputs.upstream = std::make_shared<UpstreamChannel>(std::move(lane));
    }
    if (request.settings().slot() != 0) {
      CB_ASSIGN_OR_RETURN(const UniqueFd memory, call.Take(request.settings()));
      CB_ASSIGN_OR_RETURN(const std::string bytes, transport::CopyWholeMessage(memory));
      if (!inputs.settings.ParseFromString(bytes)) {
        return absl::InvalidArgumentError("malformed settings");
      }
    }
    return inputs;
  }

  // The limits that the family was opened with: of its first channel, unless that has less by now.
  static absl::StatusOr<google::protobuf::Any> OpenedWith(Call& call,
                                                          const v1::InstallRequest& request) {
    if (request.opened_with().slot() == 0) {
      return request.channels().empty() ? google::protobuf::Any() : request.channels(0).limits();
    }
    CB_ASSIGN_OR_RETURN(const UniqueFd memory, call.Take(request.opened_with()));
    CB_ASSIGN_OR_RETURN(const std::string bytes, transport::CopyWholeMessage(memory));
    google::protobuf::Any limits;
    if (!limits.ParseFromString(bytes)) return absl::InvalidArgumentError("malformed limits");
    return limits;
  }

  absl::Status Install(Call& call, const v1::InstallRequest& request) {
    if (family_ == nullptr) {
      CB_ASSIGN_OR_RETURN(ServiceInputs inputs, TakeInputs(call, request));
      CB_ASSIGN_OR_RETURN(const google::protobuf::Any limits, OpenedWith(call, request));
      CB_ASSIGN_OR_RETURN(family_, make_family_(limits, std::move(inputs)));
    }
    std::optional<v1::BudgetUsage> usage;
    if (request.usage().slot() != 0) {
      CB_ASSIGN_OR_RETURN(const UniqueFd memory, call.Take(request.usage()));
      CB_ASSIGN_OR_RETURN(const std::string bytes, transport::CopyWholeMessage(memory));
      if (!usage.emplace().ParseFromString(bytes)) {
        return absl::InvalidArgumentError("malformed usage");
      }
    }
    CB_RETURN_IF_ERROR(family_->SetAccount(request.budget(), usage ? &*usage : nullptr));
    if (request.has_audit()) family_->SetAudit(request.audit());
    for (const v1::ChannelRecord& record : request.channels()) {
      CB_ASSIGN_OR_RETURN(UniqueFd lane, call.Take(record.service_end()));
      CB_RETURN_IF_ERROR(
          family_->Add(record, std::move(lane), request.wire(), request.successor()));
    }
    return absl::OkStatus();
  }

  const MakeFamily make_family_;
  FamilyServer* family_ = nullptr;
};

// A successor may open what has the names by then. Not sooner than some seconds after the process
// was made, which may be a successor itself.
void WatchFiles(const ServiceReach& reach, EventLoop* loop) {
  std::vector<std::string> paths;
  for (const FileNeed& file : reach.files) paths.push_back(file.path);
  WatchForSuccession(paths, [loop, soonest = absl::Now() + kLeastLife] {
    loop->RunAt(soonest, [] { _exit(kGaveWay); });
  });
}

absl::Status Serve(const PreparedService& prepared, ServiceProcessStart start) {
  const ServiceDefinition& definition = prepared.definition();
  CB_ASSIGN_OR_RETURN(const std::unique_ptr<EventLoop> loop, EventLoop::Create());
  const auto supervisor = std::make_shared<Channel>(std::move(start.supervisor));
  const std::unique_ptr<v1::Supervisor::StubInterface> stub = NewStub<v1::Supervisor>(supervisor);
  const std::unique_ptr<Dispatch> capability =
      v1::CapbrokerMakeDispatch(std::make_unique<CapabilityService>());
  ShareOneHeap();
  LaneServer server(loop.get(), {.kept = {.and_freed = true}});
  std::unique_ptr<Dispatch> service;
  std::unique_ptr<FamilyServer> family;
  const auto make_family = [&](const google::protobuf::Any& limits,
                               ServiceInputs inputs) -> absl::StatusOr<FamilyServer*> {
    if (definition.prepare != nullptr) definition.prepare();
    ServiceReach reach;
    if (definition.needs != nullptr) {
      reach = ReachOf(definition.needs(), limits, inputs.settings);
    }
    WatchFiles(reach, loop.get());
    if (const absl::Status confined = start.confine(reach); !confined.ok()) {
      // INVARIANT(fail-closed)
      ABSL_RAW_LOG(ERROR, "service %s: %s", definition.name.c_str(), confined.ToString().c_str());
      _exit(kFailedToStart);
    }
    service = definition.make(std::move(inputs));
    family = std::make_unique<FamilyServer>(loop.get(), &server, service.get(), capability.get(),
                                            &prepared.schema(), stub.get());
    return family.get();
  };
  const std::unique_ptr<Dispatch> control =
      v1::CapbrokerMakeDispatch(std::make_unique<ControlService>(make_family));
  // INVARIANT(no-orphans): without its broker the process has nothing to do.
  CB_RETURN_IF_ERROR(server
                         .Serve(std::move(start.commands),
                                MethodTable::Build({control.get()}, nullptr), nullptr,
                                [&loop] { loop->Stop(); })
                         .status());
  server.Run();
  if (family != nullptr) family->FinishAudit();
  // Handlers that are still at it end with the process.
  _exit(0);
}

}  // namespace

int RunServiceProcess(const PreparedService& service, ServiceProcessStart start) {
  // Protobuf reports malformed text to standard error: no worker's to write to.
  google::protobuf::SetLogHandler(nullptr);
  const absl::Status served = Serve(service, std::move(start));
  ABSL_RAW_LOG(ERROR, "service %s: %s", service.definition().name.c_str(),
               served.ToString().c_str());
  return kFailedToStart;
}

}  // namespace capbroker::serving
