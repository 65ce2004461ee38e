#include "broker/broker_service.h"

#include <grpcpp/server_context.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "broker/late_answer.h"
#include "broker/zygote/process.h"
#include "capbroker/v1/broker.dispatch.h"
#include "capbroker/v1/broker.grpc.pb.h"
#include "serving/call.h"

namespace capbroker::broker {
namespace {

using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

class BrokerService final : public v1::Broker::CallbackService {
 public:
  BrokerService(Families* families, Launcher* launcher, const ZygoteKeeper* zygote,
                AuditTrail* audit)
      : families_(*families), launcher_(*launcher), zygote_(*zygote), audit_(*audit) {}

  Reactor* OpenService(Context* context, const v1::OpenServiceRequest* request,
                       v1::OpenServiceResponse* response) override {
    const LateAnswer answer(response);
    Reactor* const reactor = answer.reactor();
    serving::Call& call = serving::Call::Of(context);
    absl::StatusOr<Families::Opened> opened = families_.Open(
        *request, [&call](const v1::Descriptor& field) { return call.Take(field); },
        [answer](const absl::Status& forked) { answer.Finish(forked); });
    if (!opened.ok()) {
      answer.Finish(opened.status());
      return reactor;
    }
    response->set_family(opened->family);
    response->set_number(opened->number);
    (void)call.Attach(std::move(opened->channel), response->mutable_channel());
    return reactor;
  }

  Reactor* LaunchWorker(Context* context, const v1::LaunchWorkerRequest* request,
                        v1::LaunchWorkerResponse* response) override {
    const LateAnswer answer(response);
    Reactor* const reactor = answer.reactor();
    serving::Call& call = serving::Call::Of(context);
    const absl::Status failed = launcher_.Launch(
        *request, [&call](const v1::Descriptor& field) { return call.Take(field); },
        [this, answer](absl::StatusOr<v1::LaunchWorkerResponse> launched) {
          OnLaunched(answer, std::move(launched));
        });
    if (!failed.ok()) answer.Finish(failed);
    return reactor;
  }

  Reactor* WaitWorker(Context*, const v1::WaitWorkerRequest* request,
                      v1::WaitWorkerResponse* response) override {
    const LateAnswer answer(response);
    Reactor* const reactor = answer.reactor();
    const absl::Status failed =
        launcher_.Wait(request->worker(), [answer](const v1::WaitWorkerResponse& end) {
          if (answer.response() == nullptr) return;
          *answer.response() = end;
          answer.Finish(absl::OkStatus());
        });
    if (!failed.ok()) answer.Finish(failed);
    return reactor;
  }

  Reactor* KillWorker(Context* context, const v1::KillWorkerRequest* request,
                      v1::KillWorkerResponse*) override {
    return Now(context, launcher_.Kill(*request));
  }

  Reactor* SignalWorker(Context* context, const v1::SignalWorkerRequest* request,
                        v1::SignalWorkerResponse*) override {
    return Now(context, launcher_.Signal(*request));
  }

  Reactor* Revoke(Context* context, const v1::BrokerRevokeRequest* request,
                  v1::BrokerRevokeResponse* response) override {
    std::vector<Launcher::GrantedChannel> channels = {
        {{}, request->family(), request->channel(), false, {}}};
    if (request->worker() != 0) {
      absl::StatusOr<std::vector<Launcher::GrantedChannel>> granted =
          launcher_.GrantsOf(request->worker(), request->grant());
      if (!granted.ok()) return Now(context, granted.status());
      channels = *std::move(granted);
    } else if (families_.Find(request->family()) == nullptr) {
      return Now(context, absl::NotFoundError("revoke: no such family, or it has ended"));
    }
    const LateAnswer answer(response);
    Reactor* const reactor = answer.reactor();
    // Finishes when the last copy of it is gone: all families have answered.
    struct Sum {
      v1::BrokerRevokeResponse response;
      absl::Status status;
    };
    const auto sum = std::shared_ptr<Sum>(new Sum(), [answer](Sum* total) {
      if (answer.response() != nullptr) *answer.response() = std::move(total->response);
      answer.Finish(total->status);
      delete total;
    });
    for (const Launcher::GrantedChannel& channel : channels) {
      ServedFamily* const family = families_.Find(channel.family);
      if (family == nullptr) {
        // It has ended, and with it the authority; nobody knows any more what it had delivered.
        sum->response.add_incomplete(channel.service);
        continue;
      }
      const absl::Status revoked =
          family->Revoke(channel.channel, [sum](const v1::BrokerRevokeResponse& part) {
            const uint32_t channels = sum->response.channels() + part.channels();
            sum->response.MergeFrom(part);
            sum->response.set_channels(channels);
          });
      if (!revoked.ok() && request->worker() == 0) sum->status = revoked;
    }
    return reactor;
  }

  Reactor* StartAudit(Context* context, const v1::StartAuditRequest* request,
                      v1::StartAuditResponse*) override {
    // What is open already is not told of it.
    if (!families_.empty()) {
      return Now(context, absl::FailedPreconditionError("audit: a service is open already"));
    }
    return Now(context, audit_.Start(request->settings()));
  }

  Reactor* ReadAudit(Context*, const v1::ReadAuditRequest* request,
                     v1::ReadAuditResponse* response) override {
    const LateAnswer answer(response);
    Reactor* const reactor = answer.reactor();
    const absl::Status failed = audit_.Read(
        absl::Seconds(request->wait().seconds()) + absl::Nanoseconds(request->wait().nanos()),
        {.response = [answer] { return answer.response(); },
         .done = [answer] { answer.Finish(absl::OkStatus()); }});
    if (!failed.ok()) answer.Finish(failed);
    return reactor;
  }

  Reactor* Inspect(Context* context, const v1::InspectRequest*,
                   v1::InspectResponse* response) override {
    families_.Describe(response);
    launcher_.Describe(response);
    response->set_broker_process(getpid());
    response->set_zygote_process(zygote_.pid());
    response->set_broker_descriptors(CountDescriptors());
    return Now(context, absl::OkStatus());
  }

 private:
  static Reactor* Now(Context* context, const absl::Status& status) {
    Reactor* reactor = context->DefaultReactor();
    reactor->Finish(ToGrpcStatus(status));
    return reactor;
  }

  void OnLaunched(const LateAnswer<v1::LaunchWorkerResponse>& answer,
                  absl::StatusOr<v1::LaunchWorkerResponse> launched) {
    if (!launched.ok()) return answer.Finish(launched.status());
    if (answer.response() == nullptr) {
      // Nobody knows of it. INVARIANT(no-orphans)
      v1::KillWorkerRequest kill;
      kill.set_worker(launched->worker());
      kill.set_forget(true);
      (void)launcher_.Kill(kill);
      return;
    }
    *answer.response() = *std::move(launched);
    answer.Finish(absl::OkStatus());
  }

  Families& families_;
  Launcher& launcher_;
  const ZygoteKeeper& zygote_;
  AuditTrail& audit_;
};

}  // namespace

std::unique_ptr<serving::Dispatch> MakeBrokerService(Families* families, Launcher* launcher,
                                                     const ZygoteKeeper* zygote,
                                                     AuditTrail* audit) {
  return v1::CapbrokerMakeDispatch(
      std::make_unique<BrokerService>(families, launcher, zygote, audit));
}

}  // namespace capbroker::broker
