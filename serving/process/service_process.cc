#include "serving/process/service_process.h"

#include <google/protobuf/stubs/logging.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/internal/raw_logging.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/freed_memory.h"
#include "base/status_macros.h"
#include "capbroker/v1/control.capbroker.h"
#include "capbroker/v1/control.dispatch.h"
#include "serving/events/event_loop.h"
#include "serving/lane/lane_server.h"
#include "serving/lane/method_table.h"
#include "serving/process/control_service.h"
#include "serving/process/family_server.h"
#include "serving/process/prepared_service.h"
#include "serving/service_needs.h"
#include "serving/succession.h"
#include "transport/channel.h"
#include "transport/stub.h"

namespace capbroker::serving {
namespace {

constexpr int kFailedToStart = 1;
constexpr absl::Duration kLeastLife = absl::Seconds(3);

// A successor may open what has the names by then. Not sooner than some seconds after the process
// was made, which may be a successor itself.
void WatchFiles(const ServiceReach& reach, EventLoop* loop) {
  if (reach.files.empty()) return;
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
    family = std::make_unique<FamilyServer>(loop.get(), &server, service.get(),
                                            prepared.capability(), &prepared.schema(), stub.get());
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
