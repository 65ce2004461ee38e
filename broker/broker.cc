// The broker's process: everything that //client declares in client/broker_main.h.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/descriptor_limit.h"
#include "base/lifeline.h"
#include "base/status_macros.h"
#include "broker/broker_service.h"
#include "broker/families/audit_trail.h"
#include "broker/families/families.h"
#include "broker/families/spare_services.h"
#include "broker/workers/bounding_cgroup.h"
#include "broker/workers/launcher.h"
#include "broker/zygote/own_tables.h"
#include "broker/zygote/process.h"
#include "broker/zygote/zygote.h"
#include "broker/zygote/zygote_keeper.h"
#include "client/broker_main.h"
#include "serving/events/event_loop.h"
#include "serving/lane/lane_server.h"
#include "serving/lane/method_table.h"

namespace capbroker {
namespace broker {
namespace {

constexpr int kStartFailed = 125;

// What the fork gave and the broker does not want. The rest it keeps: working
// directory, ids, groups, umask, affinity, security label.
absl::Status Shed(BrokerStart& start) {
  const int held = start.lifeline.get();
  // INVARIANT(no-orphans): from here on the broker dies with its handle.
  CB_RETURN_IF_ERROR(DieWithLifeline(std::move(start.lifeline)));
  ResetSignals();
  LeaveForeground();
  NameProcess("capbroker");
  ForbidInspection();
  // Service processes and workers whose zygote has died become the broker's children.
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  DropStandardStreams();
  return CloseAllBut({start.application, FdRef::FromRaw(held), start.cgroup});
}

// INVARIANT(fork-before-threads): one thread, so that a zygote can be forked at any
// time; gRPC's callback classes are called by the lane server, without gRPC's core.
constexpr serving::LaneServerOptions kForApplication = {
    .max_threads = 1,
    .grow = false,
    // It waits for each of its workers with a call.
    .max_calls_in_flight = 1 << 16,
    .max_running = 1 << 16,
};
// TRUST(worker): a service process may have been taken over, and each buffer that it asks
// for is a descriptor here.
constexpr serving::LaneServerOptions kForServices = {
    .max_threads = 1,
    .grow = false,
    .max_calls_in_flight = 32,
    .max_bytes_in_flight = 8u << 20,
};

absl::Status Serve(BrokerStart start) {
  CB_RETURN_IF_ERROR(Shed(start));
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  const rlimit service_descriptors = ServiceDescriptorLimit(RaiseDescriptorLimit());
  // Nothing here is ever destroyed: the process ends by _exit() or SIGKILL.
  CB_ASSIGN_OR_RETURN(std::unique_ptr<serving::EventLoop> loop, serving::EventLoop::Create());
  serving::LaneServer application(loop.get(), kForApplication);
  serving::LaneServer services(loop.get(), kForServices);
  const auto enter_worker = start.enter_worker;
  ZygoteKeeper zygote(loop.get(), [=](UniqueFd control, UniqueFd lifeline) {
    return RunZygote({std::move(control), std::move(lifeline), enter_worker, service_descriptors});
  });
  CB_RETURN_IF_ERROR(zygote.Start());
  PrepareToCountDescriptors();
  BoundingCgroup cgroup;
  if (start.cgroup.valid()) {
    CB_ASSIGN_OR_RETURN(cgroup, BoundingCgroup::In(std::move(start.cgroup)));
  }
  CB_RETURN_IF_ERROR(EnterBrokerTable());
  AuditTrail audit(loop.get());
  BrokerParts parts = {loop.get(), &services, &zygote, &audit};
  if (cgroup.directory.valid()) parts.cgroup = &cgroup;
  SpareServices spares(parts, start.spare_services);
  parts.spares = &spares;
  Families families(parts);
  Launcher launcher(parts, &families, enter_worker != nullptr, start.spare_workers);
  const std::unique_ptr<serving::Dispatch> service =
      MakeBrokerService(&families, &launcher, &zygote, &audit);
  const absl::StatusOr<std::shared_ptr<serving::ServedLane>> lane = application.Serve(
      std::move(start.application), serving::MethodTable::Build({service.get()}, nullptr), nullptr,
      [] { _exit(0); });
  if (!lane.ok()) return lane.status();
  application.Run();
  _exit(0);
}

}  // namespace
}  // namespace broker

int RunBroker(BrokerStart start) {
  const absl::Status failed = broker::Serve(std::move(start));
  broker::Log(absl::StrCat("the broker cannot start: ", failed.ToString()));
  return broker::kStartFailed;
}

}  // namespace capbroker
