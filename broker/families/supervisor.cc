#include "broker/families/supervisor.h"

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <utility>

#include "capbroker/v1/control.dispatch.h"
#include "capbroker/v1/control.grpc.pb.h"
#include "serving/call.h"
#include "serving/dispatch.h"
#include "transport/grpc_status.h"

namespace capbroker::broker {
namespace {

// TRUST(worker): a service process that was taken over says what the worker wants.
class Supervisor final : public v1::Supervisor::CallbackService {
 public:
  Supervisor(Family* family, AuditTrail* audit) : family_(*family), audit_(*audit) {}

  grpc::ServerUnaryReactor* CommitLimits(grpc::CallbackServerContext* context,
                                         const v1::CommitLimitsRequest* request,
                                         v1::CommitLimitsResponse* response) override {
    absl::StatusOr<google::protobuf::Any> limits =
        family_.CommitLimits(request->channel(), request->limits());
    if (!limits.ok()) return Answer(context, limits.status());
    audit_.RecordLimits(family_, request->channel(), v1::AuditEvent::NARROWED);
    *response->mutable_limits() = *std::move(limits);
    return Answer(context, absl::OkStatus());
  }

  grpc::ServerUnaryReactor* RegisterClone(grpc::CallbackServerContext* context,
                                          const v1::RegisterCloneRequest* request,
                                          v1::RegisterCloneResponse* response) override {
    absl::StatusOr<UniqueFd> end = serving::Call::Of(context).Take(request->service_end());
    if (!end.ok()) return Answer(context, end.status());
    const absl::StatusOr<const ChannelRecord*> clone = family_.RegisterClone(
        request->parent(), request->has_limits() ? &request->limits() : nullptr, *std::move(end),
        request->ends_with_process());
    if (!clone.ok()) return Answer(context, clone.status());
    v1::AuditEvent cloned;
    cloned.set_kind(v1::AuditEvent::CLONED);
    cloned.set_parent(request->parent());
    audit_.RecordLimits(family_, (*clone)->id, std::move(cloned));
    response->set_channel((*clone)->id);
    if ((*clone)->limits->message() != nullptr) {
      *response->mutable_limits() = (*clone)->limits->ToAny();
    }
    return Answer(context, absl::OkStatus());
  }

  grpc::ServerUnaryReactor* ForgetChannel(grpc::CallbackServerContext* context,
                                          const v1::ForgetChannelRequest* request,
                                          v1::ForgetChannelResponse*) override {
    const absl::Status forgotten = family_.Forget(request->channel(), request->deliveries());
    if (forgotten.ok()) {
      v1::AuditEvent closed;
      closed.set_kind(v1::AuditEvent::CLOSED);
      audit_.Record(family_, request->channel(), std::move(closed));
    }
    return Answer(context, forgotten);
  }

  grpc::ServerUnaryReactor* RecordUsage(grpc::CallbackServerContext* context,
                                        const v1::RecordUsageRequest* request,
                                        v1::RecordUsageResponse*) override {
    family_.RecordUsage(request->usage());
    return Answer(context, absl::OkStatus());
  }

  grpc::ServerUnaryReactor* ReportEvents(grpc::CallbackServerContext* context,
                                         const v1::ReportEventsRequest* request,
                                         v1::ReportEventsResponse*) override {
    audit_.Report(family_, *request);
    return Answer(context, absl::OkStatus());
  }

 private:
  static grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context,
                                          const absl::Status& status) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(ToGrpcStatus(status));
    return reactor;
  }

  Family& family_;
  AuditTrail& audit_;
};

// A table and what it refers to, with one life.
struct OwnedMethods {
  std::unique_ptr<serving::Dispatch> dispatch;
  std::shared_ptr<const serving::MethodTable> table;
};

}  // namespace

std::shared_ptr<const serving::MethodTable> SupervisorMethods(Family* family, AuditTrail* audit) {
  auto owned = std::make_shared<OwnedMethods>();
  owned->dispatch = v1::CapbrokerMakeDispatch(std::make_unique<Supervisor>(family, audit));
  owned->table = serving::MethodTable::Build({owned->dispatch.get()}, nullptr);
  return {owned, owned->table.get()};
}

}  // namespace capbroker::broker
