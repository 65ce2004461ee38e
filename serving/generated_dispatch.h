// What generated dispatch tables are made of: one function for each way to call a
// handler. Included by generated code alone.
//
// Lives in: service processes, the broker.
#ifndef SERVING_GENERATED_DISPATCH_H_
#define SERVING_GENERATED_DISPATCH_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "serving/call.h"
#include "serving/dispatch.h"
#include "serving/wire/wire_gate.h"
#include "transport/packet.h"  // MethodId, for the generated code

namespace capbroker::serving {

// On a lane, a synchronous handler: `handler(context, request, response)`.
template <typename Request, typename Response, typename Handler>
void InvokeSync(UnaryInvocation& call, Handler handler) {
  grpc::ServerContext* context = call.sync_context();
  const CallScope scope(context, call.call());
  call.Answer(handler(context, static_cast<const Request*>(call.request()),
                      static_cast<Response*>(call.response())));
}

// On a lane, a callback handler.
template <typename Request, typename Response, typename Handler>
void InvokeCallback(UnaryInvocation& call, Handler handler) {
  grpc::CallbackServerContext* context = call.callback_context();
  grpc::ServerUnaryReactor* reactor;
  {
    const CallScope scope(context, call.call());
    reactor = handler(context, static_cast<const Request*>(call.request()),
                      static_cast<Response*>(call.response()));
  }
  call.Bind(reactor);
}

// On a wire, a synchronous unary handler.
template <typename Request, typename Response, typename Handler>
grpc::Status CheckedUnary(WireGate& gate, int method, grpc::ServerContext* context,
                          const Request* request, Response* response, Handler handler) {
  WireGate::Admission admitted = gate.Admit(method, *request);
  if (!admitted.status.ok()) return admitted.status;
  const CallScope scope(context, admitted.call.get());
  const UnaryInFlight in_flight(gate, context);
  const grpc::Status status = handler();
  return status.ok() ? gate.AdmitResponse(method, *response) : gate.Record(method, status);
}

// On a wire, a handler behind the forwarder: its messages have been checked.
template <typename Handler>
grpc::Status CheckedForwarded(WireGate& gate, int method, grpc::ServerContext* context,
                              Handler handler) {
  WireGate::Admission admitted = gate.AdmitStream(method);
  if (!admitted.status.ok()) return admitted.status;
  const CallScope scope(context, admitted.call.get());
  return gate.Record(method, handler());
}

// On a wire, a callback handler: gRPC is given this reactor, and the handler's own
// is bound to what stands between, which keeps the Call until Finish().
template <typename Response>
class WireUnaryReaction final : public grpc::ServerUnaryReactor {
 public:
  WireUnaryReaction(WireGate& gate, int method, grpc::CallbackServerContext* context,
                    std::unique_ptr<Call> call, const Response* response)
      : gate_(gate),
        method_(method),
        call_(std::move(call)),
        response_(response),
        inner_(this),
        in_flight_(gate, context) {}

  Call* call() { return call_.get(); }

  void Start(grpc::ServerUnaryReactor* handler) {
    bool cancelled;
    {
      absl::MutexLock lock(&mutex_);
      handler_ = handler;
      cancelled = cancelled_;
    }
    inner_.Bind(handler);
    if (cancelled) handler->OnCancel();
  }

  void OnCancel() override {
    grpc::ServerUnaryReactor* handler;
    {
      absl::MutexLock lock(&mutex_);
      cancelled_ = true;
      handler = handler_;
    }
    if (handler != nullptr) handler->OnCancel();
  }

  void OnDone() override {
    grpc::ServerUnaryReactor* handler;
    {
      absl::MutexLock lock(&mutex_);
      handler = handler_;
    }
    handler->OnDone();
    delete this;
  }

 private:
  class Inner final : public grpc::ServerCallbackUnary {
   public:
    explicit Inner(WireUnaryReaction* outer) : outer_(outer) {}
    void Bind(grpc::ServerUnaryReactor* handler) { BindReactor(handler); }
    void Finish(grpc::Status status) override {
      status = status.ok() ? outer_->gate_.AdmitResponse(outer_->method_, *outer_->response_)
                           : outer_->gate_.Record(outer_->method_, std::move(status));
      outer_->Finish(std::move(status));
    }
    void SendInitialMetadata() override { outer_->StartSendInitialMetadata(); }

   private:
    void CallOnDone() override {}
    grpc::internal::ServerReactor* reactor() override { return outer_; }
    WireUnaryReaction* const outer_;
  };

  WireGate& gate_;
  const int method_;
  const std::unique_ptr<Call> call_;
  const Response* const response_;
  Inner inner_;
  const UnaryInFlight in_flight_;
  absl::Mutex mutex_;
  grpc::ServerUnaryReactor* handler_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
};

template <typename Request, typename Response, typename Handler>
grpc::ServerUnaryReactor* CheckedUnary(WireGate& gate, int method,
                                       grpc::CallbackServerContext* context, const Request* request,
                                       Response* response, Handler handler) {
  WireGate::Admission admitted = gate.Admit(method, *request);
  if (!admitted.status.ok()) {
    grpc::ServerUnaryReactor* refused = context->DefaultReactor();
    refused->Finish(admitted.status);
    return refused;
  }
  auto* reaction =
      new WireUnaryReaction<Response>(gate, method, context, std::move(admitted.call), response);
  const CallScope scope(context, reaction->call());
  grpc::ServerUnaryReactor* reactor = handler();
  reaction->Start(reactor);
  return reaction;
}

}  // namespace capbroker::serving

#endif  // SERVING_GENERATED_DISPATCH_H_
