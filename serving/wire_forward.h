// Forwards a call with a stream to the handler's own server in the same process,
// checking every message on the way.
//
// gRPC gives a synchronous streaming handler its own final reader and writer classes, in
// which there is no place for a check between the handler and the message. So the wire's
// server answers such methods with a reactor that reads a message, checks it, and
// writes it to a channel within the process, behind which the handler runs; and so for what the
// handler sends. A refused message ends the call, and the handler sees its stream end; a
// revocation ends it with its reason, whatever the handler does.
//
// A proxy has no handlers for streams of requests: such calls go from here to what is upstream,
// and every message through the tap of the call (serving/wire/stream_tap.h), on the tap's own
// thread.
//
// Included by generated code alone. Lives in: service processes.
#ifndef SERVING_WIRE_FORWARD_H_
#define SERVING_WIRE_FORWARD_H_

#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/client_callback.h>
#include <grpcpp/support/server_callback.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "serving/wire/stream_tap.h"
#include "serving/wire/wire_gate.h"
#include "transport/grpc_status.h"

namespace capbroker::serving {

// The half towards the handler. `Downstream` is the half towards the client:
//   void ReadNext();                 reads into request(), then Received()
//   void Deliver();                  sends response(), then Delivered()
//   void Finished(const grpc::Status&);  finishes; nothing is called afterwards
template <typename Request, typename Response>
class ForwardedCall : private WireGate::InFlight {
 protected:
  ForwardedCall(WireGate& gate, int method, grpc::CallbackServerContext* context)
      : gate_(gate), method_(method), server_(context) {}
  ~ForwardedCall() = default;

  virtual void ReadNext() = 0;
  virtual void Deliver() = 0;
  virtual void Finished(const grpc::Status& status) = 0;

  // A call with a stream of requests: starts, or ends with the reason why not.
  void Begin(const std::shared_ptr<grpc::Channel>& handler, const char* name) {
    WireGate::Admission admitted = gate_.AdmitStream(method_);
    if (!admitted.status.ok()) return Finished(admitted.status);
    absl::StatusOr<std::unique_ptr<StreamTap>> tap =
        gate_.Tap(method_, std::move(admitted.call), server_);
    if (!tap.ok()) return Finished(ToGrpcStatus(tap.status()));
    tap_ = *std::move(tap);
    if (tap_ == nullptr) return Start(handler, name);
    MakeContext();
    tap_->Run([this, name] {
      const absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = tap_->Open(*client_);
      if (!channel.ok()) return Finished(tap_->OnDone(ToGrpcStatus(channel.status())));
      Connect(*channel, name);
    });
  }

  // A call with one request, which outlives it.
  void Begin(const std::shared_ptr<grpc::Channel>& handler, const char* name,
             const Request& request) {
    const WireGate::Admission admitted = gate_.Admit(method_, request);
    if (!admitted.status.ok()) return Finished(admitted.status);
    Start(handler, name);
    absl::MutexLock lock(&mutex_);
    if (!writing_) return;
    upstream_.StartWriteLast(&request, grpc::WriteOptions());
    StopWriting();
  }

  // Before the object goes: nothing of it is used afterwards.
  void Leave() {
    gate_.Leave(this);
    tap_.reset();
  }

  Request* request() { return &request_; }
  Response* response() { return &response_; }

  // A request has been read, or (`ok` false) there are no more.
  void Received(bool ok) {
    grpc::Status admitted = grpc::Status::OK;
    if (ok) admitted = gate_.AdmitMessage(method_, request_, std::exchange(first_, false));
    if (ok && admitted.ok() && tap_ != nullptr) return tap_->Run([this] { Interpose(); });
    absl::MutexLock lock(&mutex_);
    if (!writing_) return;
    if (ok && admitted.ok()) {
      upstream_.StartWrite(&request_);
      return;
    }
    if (!admitted.ok()) {
      ending_ = admitted;
      client_->TryCancel();
    } else if (server_->IsCancelled()) {
      // Not the orderly end that it would look like to the handler.
      client_->TryCancel();
    } else {
      upstream_.StartWritesDone();
    }
    StopWriting();
  }

  // What Deliver() was called for has been sent.
  void Delivered(bool ok) {
    {
      absl::MutexLock lock(&mutex_);
      if (!done_) {
        if (!ok) client_->TryCancel();
        upstream_.StartRead(&response_);
        upstream_.RemoveHold();
        return;
      }
    }
    EndSoon();
  }

  void Cancelled() {
    if (client_ != nullptr) client_->TryCancel();
  }

 private:
  void MakeContext() {
    client_ = grpc::ClientContext::FromCallbackServerContext(*server_);
    gate_.Enter(this);
  }

  // To the handler in this process.
  void Start(const std::shared_ptr<grpc::Channel>& handler, const char* name) {
    MakeContext();
    for (const auto& [key, value] : server_->client_metadata()) {
      client_->AddMetadata(std::string(key.data(), key.size()),
                           std::string(value.data(), value.size()));
    }
    Connect(handler, name);
  }

  // By a revocation.
  void End(const grpc::Status& why) override {
    absl::MutexLock lock(&mutex_);
    if (!ending_) ending_ = why;
    client_->TryCancel();
    StopWriting();
  }

  void Connect(const std::shared_ptr<grpc::Channel>& handler, const char* name) {
    grpc::TemplatedGenericStub<Request, Response> stub(handler);
    stub.PrepareBidiStreamingCall(client_.get(), name, grpc::StubOptions(), &upstream_);
    // Requests are written outside of this half's own reactions.
    absl::ReleasableMutexLock lock(&mutex_);
    if (writing_) {
      upstream_.AddHold();
      held_ = true;
    }
    upstream_.StartCall();
    lock.Release();
    ReadNext();
  }

  // On the tap's thread: a request that was admitted.
  void Interpose() {
    {
      absl::MutexLock lock(&mutex_);
      if (!writing_) return;
    }
    std::optional<grpc::Status> answered = tap_->OnRequest(request_);
    absl::MutexLock lock(&mutex_);
    if (!writing_) return;
    if (!answered) return upstream_.StartWrite(&request_);
    ending_ = std::move(answered);
    client_->TryCancel();
    StopWriting();
  }

  // Without this the handler's end would wait for the client's last request.
  void StopWriting() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    writing_ = false;
    if (std::exchange(held_, false)) upstream_.RemoveHold();
  }

  void EndSoon() {
    if (tap_ == nullptr) return EndNow();
    tap_->Run([this] { EndNow(); });
  }

  void EndNow() {
    grpc::Status status;
    {
      absl::MutexLock lock(&mutex_);
      status = ending_.value_or(status_);
      if (tap_ != nullptr && !ending_) status = tap_->Tell(status);
    }
    if (tap_ != nullptr) {
      if (!told_) told_ = tap_->OnDone(status);
      status = *told_;
      if (status.ok() && tap_->NextAnswer(response_)) {
        status = gate_.AdmitResponse(method_, response_);
        if (status.ok()) return Deliver();
      }
    }
    for (const auto& [key, value] : client_->GetServerTrailingMetadata()) {
      server_->AddTrailingMetadata(std::string(key.data(), key.size()),
                                   std::string(value.data(), value.size()));
    }
    Finished(status);
  }

  class Upstream final : public grpc::ClientBidiReactor<Request, Response> {
   public:
    explicit Upstream(ForwardedCall* call) : call_(call) {}
    void OnReadInitialMetadataDone(bool ok) override { call_->Answering(ok); }
    void OnWriteDone(bool ok) override { call_->Written(ok); }
    void OnReadDone(bool ok) override { call_->Answered(ok); }
    void OnDone(const grpc::Status& status) override { call_->Ended(status); }

   private:
    ForwardedCall* const call_;
  };

  void Answering(bool ok) {
    if (ok) {
      for (const auto& [key, value] : client_->GetServerInitialMetadata()) {
        server_->AddInitialMetadata(std::string(key.data(), key.size()),
                                    std::string(value.data(), value.size()));
      }
    }
    upstream_.StartRead(&response_);
  }
  void Written(bool ok) {
    if (ok) return ReadNext();
    absl::MutexLock lock(&mutex_);
    StopWriting();
  }
  void Answered(bool ok) {
    if (!ok) {
      absl::MutexLock lock(&mutex_);
      StopWriting();
      return;
    }
    // The next read is started by Delivered(), outside of this half's own reactions: without a
    // hold the call might have ended by then, and gRPC's part of it be gone.
    upstream_.AddHold();
    if (tap_ == nullptr) return Admit(gate_.AdmitResponse(method_, response_));
    tap_->Run([this] {
      const grpc::Status passed = tap_->OnResponse(response_);
      Admit(passed.ok() ? gate_.AdmitResponse(method_, response_) : passed);
    });
  }
  void Admit(const grpc::Status& admitted) {
    bool ends;
    {
      absl::MutexLock lock(&mutex_);
      ends = !admitted.ok() || ending_.has_value();
      if (ends) {
        if (!ending_) ending_ = admitted;
        client_->TryCancel();
        StopWriting();
      }
    }
    if (!ends) return Deliver();
    upstream_.RemoveHold();
  }
  void Ended(const grpc::Status& status) {
    {
      absl::MutexLock lock(&mutex_);
      status_ = status;
      done_ = true;
    }
    EndSoon();
  }

  WireGate& gate_;
  const int method_;
  grpc::CallbackServerContext* const server_;
  Upstream upstream_{this};
  std::unique_ptr<grpc::ClientContext> client_;
  Request request_;
  Response response_;
  bool first_ = true;
  absl::Mutex mutex_;
  bool writing_ ABSL_GUARDED_BY(mutex_) = true;
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::Status status_ ABSL_GUARDED_BY(mutex_);
  // In place of the handler's.
  std::optional<grpc::Status> ending_ ABSL_GUARDED_BY(mutex_);
  // By the tap, of the end.
  std::optional<grpc::Status> told_;
  std::unique_ptr<StreamTap> tap_;
};

template <typename Request, typename Response>
class ForwardedBidi final : public grpc::ServerBidiReactor<Request, Response>,
                            private ForwardedCall<Request, Response> {
 public:
  ForwardedBidi(WireGate& gate, int method, grpc::CallbackServerContext* context,
                const std::shared_ptr<grpc::Channel>& handler, const char* name)
      : ForwardedCall<Request, Response>(gate, method, context) {
    this->Begin(handler, name);
  }

 private:
  using Downstream = grpc::ServerBidiReactor<Request, Response>;

  void ReadNext() override { Downstream::StartRead(this->request()); }
  void Deliver() override { Downstream::StartWrite(this->response()); }
  void Finished(const grpc::Status& status) override { Downstream::Finish(status); }

  void OnReadDone(bool ok) override { this->Received(ok); }
  void OnWriteDone(bool ok) override { this->Delivered(ok); }
  void OnCancel() override { this->Cancelled(); }
  void OnDone() override {
    this->Leave();
    delete this;
  }
};

template <typename Request, typename Response>
class ForwardedClientStream final : public grpc::ServerReadReactor<Request>,
                                    private ForwardedCall<Request, Response> {
 public:
  ForwardedClientStream(WireGate& gate, int method, grpc::CallbackServerContext* context,
                        const std::shared_ptr<grpc::Channel>& handler, const char* name,
                        Response* response)
      : ForwardedCall<Request, Response>(gate, method, context), answer_(response) {
    this->Begin(handler, name);
  }

 private:
  using Downstream = grpc::ServerReadReactor<Request>;

  void ReadNext() override { Downstream::StartRead(this->request()); }
  void Deliver() override {
    answer_->Swap(this->response());
    this->Delivered(true);
  }
  void Finished(const grpc::Status& status) override { Downstream::Finish(status); }

  void OnReadDone(bool ok) override { this->Received(ok); }
  void OnCancel() override { this->Cancelled(); }
  void OnDone() override {
    this->Leave();
    delete this;
  }

  Response* const answer_;
};

template <typename Request, typename Response>
class ForwardedServerStream final : public grpc::ServerWriteReactor<Response>,
                                    private ForwardedCall<Request, Response> {
 public:
  ForwardedServerStream(WireGate& gate, int method, grpc::CallbackServerContext* context,
                        const std::shared_ptr<grpc::Channel>& handler, const char* name,
                        const Request* request)
      : ForwardedCall<Request, Response>(gate, method, context) {
    this->Begin(handler, name, *request);
  }

 private:
  using Downstream = grpc::ServerWriteReactor<Response>;

  void ReadNext() override {}
  void Deliver() override { Downstream::StartWrite(this->response()); }
  void Finished(const grpc::Status& status) override { Downstream::Finish(status); }

  void OnWriteDone(bool ok) override { this->Delivered(ok); }
  void OnCancel() override { this->Cancelled(); }
  void OnDone() override {
    this->Leave();
    delete this;
  }
};

}  // namespace capbroker::serving

#endif  // SERVING_WIRE_FORWARD_H_
