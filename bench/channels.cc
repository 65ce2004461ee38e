#include "bench/channels.h"

#include <grpcpp/client_context.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bench/echo.capbroker.h"
#include "bench/echo_service.h"
#include "bench/must.h"
#include "transport/stub.h"

namespace capbroker::bench {
namespace {

constexpr int kWarmUp = 100;  // calls of each channel

}  // namespace

struct ChannelCaller::Call {
  std::shared_ptr<Channel> channel;
  std::unique_ptr<v1::Echo::StubInterface> stub;
  v1::PingRequest request = RequestOf();
  std::unique_ptr<grpc::ClientContext> context;
  v1::PingResponse response;
};

ChannelCaller::ChannelCaller(const std::shared_ptr<Channel>& first, int count)
    : loop_(Must(CallbackLoop::Create(), "callback loop")) {
  for (int i = 0; i < count; ++i) {
    auto call = std::make_unique<Call>();
    call->channel = Must(first->Clone(), "clone");
    Must(call->channel->CompleteIn(loop_), "complete in loop");
    call->stub = NewStub<v1::Echo>(call->channel);
    calls_.push_back(std::move(call));
  }
  // Until they share their mailbox, which each asks for after some calls, and few at once.
  Run(kWarmUp * count);
}

ChannelCaller::~ChannelCaller() = default;

void ChannelCaller::Run(int calls) {
  to_start_ = calls;
  to_end_ = calls;
  for (const std::unique_ptr<Call>& call : calls_) {
    if (to_start_ > 0) Start(*call);
  }
  while (to_end_ > 0) loop_->RunOnce();
}

void ChannelCaller::Start(Call& call) {
  --to_start_;
  call.context = std::make_unique<grpc::ClientContext>();
  call.stub->async()->Ping(call.context.get(), &call.request, &call.response,
                           [this, &call](const grpc::Status& status) {
                             if (!status.ok())
                               Fail("call on one of many channels", status.error_message());
                             --to_end_;
                             if (to_start_ > 0) Start(call);
                           });
}

void AddChannels(const Scene& scene, Variants& variants) {
  for (const int count : {100, 1000}) {
    const std::string name = absl::StrCat("channels_", count);
    if (!scene.options.Wants(name)) continue;
    // A family of their own: the process that serves them serves nothing else.
    const auto first = Must(scene.broker.Open(EchoAuthority()), "open");
    const pid_t server = NewestServer(scene.broker);
    const int channels = scene.options.quick ? std::min(count, 100) : count;
    variants.push_back({.name = name,
                        .calls = std::max(channels, scene.options.Calls(10 * count)),
                        .servers = {server},
                        .run = [first, caller = std::make_shared<ChannelCaller>(first, channels)](
                                   int calls, std::vector<double>&) { caller->Run(calls); },
                        .units = 1});
  }
}

}  // namespace capbroker::bench
