#include "serving/process/rehearsal.h"

#include <google/protobuf/message.h>

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "authority/budget.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "capbroker/v1/capability.pb.h"
#include "capbroker/v1/control.capbroker.h"
#include "capbroker/v1/control.dispatch.h"
#include "capbroker/v1/control.pb.h"
#include "serving/events/event_loop.h"
#include "serving/lane/lane_server.h"
#include "serving/lane/method_table.h"
#include "serving/process/control_service.h"
#include "serving/process/family_server.h"
#include "serving/service.h"
#include "transport/channel.h"
#include "transport/lane_client.h"
#include "transport/lane_socket.h"
#include "transport/packet.h"
#include "transport/stub.h"

namespace capbroker::serving {
namespace {

constexpr uint64_t kInstall = transport::MethodId("/capbroker.v1.ServiceControl/Install");
constexpr uint64_t kGetLimits = transport::MethodId("/capbroker.v1.Capability/GetLimits");
// Turns of the loop in which a call is answered, or the end of a lane noticed.
constexpr int kTurns = 8;

absl::StatusOr<transport::LanePair> MakeLane() {
  return transport::MakeLane(transport::ClientDescriptors::kAccepted);
}

// Calls what is served by this thread, and closes the lane.
absl::Status Ask(EventLoop& loop, transport::LaneClient& client, uint64_t method,
                 const google::protobuf::Message& request, const std::vector<FdRef>& descriptors) {
  absl::Status answer = absl::InternalError("rehearsal: no answer");
  const size_t size = request.ByteSizeLong();
  const auto serialize = [&](char* bytes) {
    return request.SerializeToArray(bytes, static_cast<int>(size));
  };
  const transport::LaneRequest call = {.method = method,
                                       .deadline_ns = 0,
                                       .metadata = {},
                                       .message_size = size,
                                       .serialize = serialize,
                                       .descriptors = descriptors};
  client.StartCall(
      call, [] { return false; },
      [&answer](transport::Reply& reply) {
        answer = absl::Status(static_cast<absl::StatusCode>(reply.status), reply.error);
      });
  for (int turn = 0; turn < kTurns; ++turn) {
    loop.RunOnce(absl::ZeroDuration());
    (void)client.Pump();
  }
  // Ends the call, if it was not answered.
  client.Close();
  (void)client.Pump();
  return answer;
}

v1::InstallRequest Installation(const authority::ServiceSchema& schema) {
  v1::InstallRequest request;
  v1::ChannelRecord* const channel = request.add_channels();
  channel->set_channel(1);
  channel->mutable_service_end()->set_slot(1);
  if (schema.limits_type() != nullptr) channel->mutable_limits()->PackFrom(*schema.NewLimits());
  if (const auto budget = authority::DefaultBudget(schema); budget != nullptr) {
    request.mutable_budget()->PackFrom(*budget);
  }
  return request;
}

}  // namespace

absl::Status Rehearse(const PreparedService& prepared) {
  CB_ASSIGN_OR_RETURN(const std::unique_ptr<EventLoop> loop, EventLoop::Create());
  CB_ASSIGN_OR_RETURN(transport::LanePair supervisor, MakeLane());
  CB_ASSIGN_OR_RETURN(transport::LanePair commands, MakeLane());
  CB_ASSIGN_OR_RETURN(transport::LanePair channel, MakeLane());
  const auto stub =
      NewStub<v1::Supervisor>(std::make_shared<Channel>(std::move(supervisor.client)));
  // Handlers run on this thread.
  LaneServer server(loop.get(), {.max_threads = 1, .grow = false});
  std::unique_ptr<FamilyServer> family;
  const std::unique_ptr<Dispatch> control = v1::CapbrokerMakeDispatch(
      std::make_unique<ControlService>([&](const google::protobuf::Any&, const ServiceInputs&) {
        family =
            std::make_unique<FamilyServer>(loop.get(), &server, prepared.capability(),
                                           prepared.capability(), &prepared.schema(), stub.get());
        return family.get();
      }));
  CB_RETURN_IF_ERROR(server
                         .Serve(std::move(commands.service),
                                MethodTable::Build({control.get()}, nullptr), nullptr, [] {})
                         .status());
  transport::LaneClient broker(std::move(commands.client), 64 * 1024);
  transport::LaneClient holder(std::move(channel.client), 64 * 1024);
  broker.UseExternalPump();
  holder.UseExternalPump();
  CB_RETURN_IF_ERROR(
      Ask(*loop, broker, kInstall, Installation(prepared.schema()), {channel.service}));
  channel.service.Reset();
  CB_RETURN_IF_ERROR(Ask(*loop, holder, kGetLimits, v1::GetLimitsRequest(), {}));
  for (int turn = 0; turn < kTurns; ++turn) loop->RunOnce(absl::ZeroDuration());
  return absl::OkStatus();
}

}  // namespace capbroker::serving
