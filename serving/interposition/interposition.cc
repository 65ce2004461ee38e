#include "serving/interposition/interposition.h"

#include <algorithm>
#include <deque>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "serving/channel/channel_state.h"
#include "serving/events/serial_thread.h"
#include "serving/interposition/membrane.h"
#include "transport/call_descriptors.h"
#include "transport/descriptor_rights.h"
#include "transport/grpc_status.h"
#include "transport/lane_socket.h"

namespace capbroker::serving {
namespace {

using google::protobuf::Message;
using google::protobuf::MethodDescriptor;

// Calls with a stream of requests at once, each of which has a thread.
constexpr int kMostStreams = 256;
constexpr absl::Duration kTick = absl::Milliseconds(transport::kCancelTickMs);

absl::Time DeadlineOf(const grpc::ServerContextBase& context) {
  const auto deadline = context.deadline();
  return deadline == std::chrono::system_clock::time_point::max() ? absl::InfiniteFuture()
                                                                  : absl::FromChrono(deadline);
}

absl::string_view View(grpc::string_ref text) { return {text.data(), text.size()}; }

// TRUST(worker): a lane carries any bytes, and gRPC ends a process that sends what HTTP/2
// does not allow. What gRPC adds by itself is not sent twice.
bool MayTravel(absl::string_view key, absl::string_view value) {
  if (key.empty() || absl::StartsWith(key, "grpc-") || key == "user-agent" || key == "te" ||
      key == "content-type" || key == "host") {
    return false;
  }
  const bool legal_key = std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
  return legal_key &&
         (absl::EndsWith(key, "-bin") ||
          std::all_of(value.begin(), value.end(), [](char c) { return c >= ' ' && c <= '~'; }));
}

void SendMetadata(const Endpoint& endpoint, const grpc::ServerContextBase& from,
                  grpc::ClientContext& to) {
  for (const auto& [key, value] : from.client_metadata()) {
    if (!MayTravel(View(key), View(value)) || !endpoint.Sends(View(key))) continue;
    to.AddMetadata(std::string(View(key)), std::string(View(value)));
  }
}

void ReturnInitialMetadata(const grpc::ClientContext& from, grpc::ServerContext& to) {
  for (const auto& [key, value] : from.GetServerInitialMetadata()) {
    if (!MayTravel(View(key), View(value))) continue;
    to.AddInitialMetadata(std::string(View(key)), std::string(View(value)));
  }
}

void ReturnTrailingMetadata(const grpc::ClientContext& from, grpc::ServerContext& to) {
  for (const auto& [key, value] : from.GetServerTrailingMetadata()) {
    if (!MayTravel(View(key), View(value))) continue;
    to.AddTrailingMetadata(std::string(View(key)), std::string(View(value)));
  }
}

// What is sent along but the message.
void Prepare(const Endpoint& endpoint, const grpc::ServerContext& caller,
             grpc::ClientContext& context) {
  SendMetadata(endpoint, caller, context);
  if (DeadlineOf(caller) != absl::InfiniteFuture()) context.set_deadline(caller.deadline());
}

}  // namespace

class Interposition::Way final : public InterposedCall {
 public:
  Way(const MethodDescriptor& method, const grpc::ServerContextBase& context, Call& call)
      : method_(method), context_(context), call_(call) {}

  const MethodDescriptor& method() const override { return method_; }
  const grpc::ServerContextBase& context() const override { return context_; }
  Call& serving() override { return call_; }

  Message& AddAnswer() override {
    return *answers_.emplace_back(google::protobuf::MessageFactory::generated_factory()
                                      ->GetPrototype(method_.output_type())
                                      ->New());
  }

  grpc::Status WaitFor(absl::Duration duration) override {
    const absl::Time deadline = DeadlineOf(context_);
    const absl::Time end = absl::Now() + duration;
    while (true) {
      const absl::Time now = absl::Now();
      if (now >= deadline) {
        return grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "Deadline Exceeded");
      }
      if (context_.IsCancelled()) return grpc::Status::CANCELLED;
      if (now >= end) return grpc::Status::OK;
      absl::SleepFor(std::min({end - now, deadline - now, kTick}));
    }
  }

  // Null: there are no more.
  std::unique_ptr<Message> NextAnswer() {
    if (answers_.empty()) return nullptr;
    std::unique_ptr<Message> next = std::move(answers_.front());
    answers_.pop_front();
    return next;
  }
  bool NextAnswer(Message& answer) {
    const std::unique_ptr<Message> next = NextAnswer();
    if (next != nullptr) answer.CopyFrom(*next);
    return next != nullptr;
  }

  absl::Time deadline() const { return DeadlineOf(context_); }

  // What can be told before anything is sent. What a descriptor method does must not be
  // done when its descriptor cannot be sent.
  grpc::Status CheckDescriptors(const Endpoint& endpoint) const {
    const bool response = transport::CarriesDescriptors(method_.output_type());
    if (!response && !transport::CarriesDescriptors(method_.input_type())) return grpc::Status::OK;
    if (!endpoint.CarriesDescriptors()) {
      return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION,
                          "no descriptors travel to another machine");
    }
    if (response && !call_.CanAttach()) {
      return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION,
                          "the wire carries no descriptors; call the method on the lane");
    }
    return grpc::Status::OK;
  }

 private:
  const MethodDescriptor& method_;
  const grpc::ServerContextBase& context_;
  Call& call_;
  std::deque<std::unique_ptr<Message>> answers_;
};

Interposition::Interposition(const google::protobuf::ServiceDescriptor* service,
                             std::unique_ptr<Interposer> interposer,
                             std::shared_ptr<Endpoint> upstream, Endpoint::MakeStub make_stub)
    : service_(service),
      interposer_(std::move(interposer)),
      upstream_(std::move(upstream)),
      make_stub_(make_stub) {}

Interposition::~Interposition() = default;

std::shared_ptr<Endpoint> Interposition::EndpointOf(Call& call) const {
  const std::shared_ptr<void>& bound = call.channel().bound();
  return bound == nullptr ? upstream_ : std::static_pointer_cast<Endpoint>(bound);
}

grpc::Status Interposition::Unary(int method, grpc::ServerContext* context, Message& request,
                                  Message& response, Forward forward) {
  Way way(*service_->method(method), *context, Call::Of(context));
  return interposer_->OnDone(way, AnswerUnary(way, *context, request, response, forward));
}

grpc::Status Interposition::AnswerUnary(Way& way, grpc::ServerContext& context, Message& request,
                                        Message& response, Forward forward) {
  if (const std::optional<grpc::Status> answered = interposer_->OnRequest(way, request)) {
    if (answered->ok()) way.NextAnswer(response);
    return *answered;
  }
  if (context.IsCancelled()) return grpc::Status::CANCELLED;
  const std::shared_ptr<Endpoint> endpoint = EndpointOf(way.serving());
  if (grpc::Status checked = way.CheckDescriptors(*endpoint); !checked.ok()) return checked;
  const absl::StatusOr<std::shared_ptr<void>> stub = endpoint->Stub(way.deadline());
  if (!stub.ok()) return ToGrpcStatus(stub.status());
  grpc::ClientContext upstream;
  Prepare(*endpoint, context, upstream);
  CallDescriptors descriptors(&upstream);
  grpc::Status status = PassRequestDescriptors(*interposer_, way, request, descriptors);
  if (!status.ok()) return status;
  {
    const CancellationWatch::Scope watched(watch_, context, upstream);
    status = forward(stub->get(), &upstream);
  }
  ReturnInitialMetadata(upstream, context);
  ReturnTrailingMetadata(upstream, context);
  if (!status.ok()) return endpoint->Tell(status);
  status = interposer_->OnResponse(way, response);
  if (!status.ok()) return status;
  return PassResponseDescriptors(*interposer_, way, response, descriptors, make_stub_,
                                 way.deadline());
}

grpc::Status Interposition::ServerStream(int method, grpc::ServerContext* context, Message& request,
                                         Open open, Write write) {
  Way way(*service_->method(method), *context, Call::Of(context));
  return interposer_->OnDone(way, AnswerStreaming(way, *context, request, open, write));
}

grpc::Status Interposition::AnswerStreaming(Way& way, grpc::ServerContext& context,
                                            Message& request, Open open, Write write) {
  if (const std::optional<grpc::Status> answered = interposer_->OnRequest(way, request)) {
    while (answered->ok()) {
      const std::unique_ptr<Message> answer = way.NextAnswer();
      if (answer == nullptr) break;
      if (!write(*answer)) return grpc::Status::CANCELLED;
    }
    return *answered;
  }
  if (context.IsCancelled()) return grpc::Status::CANCELLED;
  const std::shared_ptr<Endpoint> endpoint = EndpointOf(way.serving());
  const absl::StatusOr<std::shared_ptr<void>> stub = endpoint->Stub(way.deadline());
  if (!stub.ok()) return ToGrpcStatus(stub.status());
  grpc::ClientContext upstream;
  Prepare(*endpoint, context, upstream);
  const CancellationWatch::Scope watched(watch_, context, upstream);
  const std::unique_ptr<AnswerStream> answers = open(stub->get(), &upstream);
  answers->WaitForInitialMetadata();
  ReturnInitialMetadata(upstream, context);
  grpc::Status ending = grpc::Status::OK;
  while (ending.ok() && answers->Read()) {
    ending = interposer_->OnResponse(way, answers->answer());
    if (ending.ok() && !write(answers->answer())) ending = grpc::Status::CANCELLED;
  }
  if (!ending.ok()) {
    upstream.TryCancel();
    while (answers->Read()) {
    }
  }
  const grpc::Status status = answers->Finish();
  if (!ending.ok()) return ending;
  ReturnTrailingMetadata(upstream, context);
  return endpoint->Tell(status);
}

class Interposition::Stream final : public StreamTap {
 public:
  Stream(Interposition* owner, int method, std::unique_ptr<Call> call,
         const grpc::CallbackServerContext& context, std::unique_ptr<SerialThread> thread)
      : owner_(*owner),
        call_(std::move(call)),
        endpoint_(owner->EndpointOf(*call_)),
        way_(*owner->service_->method(method), context, *call_),
        thread_(std::move(thread)) {}

  ~Stream() override {
    thread_.reset();
    owner_.streams_.fetch_sub(1);
  }

  void Run(std::function<void()> step) override { thread_->Run(std::move(step)); }

  absl::StatusOr<std::shared_ptr<grpc::Channel>> Open(grpc::ClientContext& context) override {
    SendMetadata(*endpoint_, way_.context(), context);
    return endpoint_->Grpc(way_.deadline());
  }

  std::optional<grpc::Status> OnRequest(Message& request) override {
    return owner_.interposer_->OnRequest(way_, request);
  }
  grpc::Status OnResponse(Message& response) override {
    return owner_.interposer_->OnResponse(way_, response);
  }
  grpc::Status OnDone(const grpc::Status& status) override {
    return owner_.interposer_->OnDone(way_, status);
  }
  grpc::Status Tell(const grpc::Status& status) const override { return endpoint_->Tell(status); }
  bool NextAnswer(Message& response) override { return way_.NextAnswer(response); }

 private:
  Interposition& owner_;
  const std::unique_ptr<Call> call_;
  const std::shared_ptr<Endpoint> endpoint_;
  Way way_;
  std::unique_ptr<SerialThread> thread_;
};

absl::StatusOr<std::unique_ptr<StreamTap>> Interposition::Tap(
    int method, std::unique_ptr<Call> call, const grpc::CallbackServerContext* context) {
  absl::StatusOr<std::unique_ptr<SerialThread>> thread =
      absl::ResourceExhaustedError("too many streams at once");
  if (streams_.fetch_add(1) < kMostStreams) thread = SerialThread::Start();
  if (!thread.ok()) {
    streams_.fetch_sub(1);
    return thread.status();
  }
  return std::make_unique<Stream>(this, method, std::move(call), *context, *std::move(thread));
}

}  // namespace capbroker::serving
