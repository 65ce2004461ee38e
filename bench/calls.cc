#include "bench/calls.h"

#include <grpcpp/client_context.h>

#include <algorithm>
#include <barrier>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "authority/limits.h"
#include "authority/schema.h"
#include "bench/checked_service.h"
#include "bench/echo.capbroker.h"
#include "bench/echo_service.h"
#include "bench/must.h"
#include "transport/stub.h"

namespace capbroker::bench {
namespace {

void PingByCallback(v1::Echo::StubInterface& stub, const v1::PingRequest& request) {
  grpc::ClientContext context;
  v1::PingResponse response;
  grpc::Status status;
  absl::Notification done;
  stub.async()->Ping(&context, &request, &response, [&](grpc::Status result) {
    status = std::move(result);
    done.Notify();
  });
  done.WaitForNotification();
  Must(status.ok() && response.payload().size() == kPayload, "ping by callback");
}

// `calls` in all, by `count` threads that begin together.
void CallByThreads(v1::Echo::StubInterface& stub, int count, int calls,
                   std::vector<double>& times_us) {
  const v1::PingRequest request = RequestOf();
  std::vector<std::vector<double>> times(static_cast<size_t>(count));
  std::barrier begin(count);
  std::vector<std::thread> threads;
  for (std::vector<double>& own : times) {
    threads.emplace_back([&] {
      begin.arrive_and_wait();
      TimeCalls(calls / count, own, [&] { Ping(stub, request); });
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<double>& own : times) {
    times_us.insert(times_us.end(), own.begin(), own.end());
  }
}

// One channel's stream, and the stub that it is of.
struct Chat {
  std::unique_ptr<v1::Echo::StubInterface> stub;
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReaderWriterInterface<v1::ChatRequest, v1::ChatResponse>> stream;
  v1::ChatRequest said;
  ~Chat() { stream->WritesDone(); }
};

std::shared_ptr<Chat> BeginChat(const std::shared_ptr<Channel>& channel) {
  auto chat = std::make_shared<Chat>();
  chat->stub = NewStub<v1::Echo>(channel);
  chat->stream = chat->stub->Chat(&chat->context);
  chat->said.set_payload(RequestOf().payload());
  return chat;
}

}  // namespace

Variant LimitsCheck(const Options& options, const std::string& name, int names) {
  const std::shared_ptr<const authority::ServiceSchema> schema =
      Must(authority::ServiceSchema::Compile(
               *v1::AskRequest::descriptor()->file()->FindServiceByName("Checked")),
           "schema");
  const auto limits =
      Must(authority::Limits::Compile(*schema, LimitsOfChecked(names - 1)), "limits");
  constexpr int kTimes = 100;
  return {.name = name,
          .call =
              [schema, limits, request = AllowedQuestion()] {
                const authority::MethodSchema& method = *schema->FindMethod("Ask");
                for (int i = 0; i < kTimes; ++i) {
                  Must(!limits->Check(method, request).has_value(), "limits check");
                }
              },
          .calls = options.Calls(500),
          .repeats = kTimes};
}

void AddCalls(const Scene& scene, Variants& variants) {
  const Options& options = scene.options;
  const std::shared_ptr<v1::Echo::StubInterface> stub = NewStub<v1::Echo>(scene.echo);
  const std::vector<pid_t> servers = {scene.echo_server};
  const v1::PingRequest request = RequestOf();
  variants.push_back({.name = "stub_unary",
                      .call = [=] { Ping(*stub, request); },
                      .calls = options.Calls(1500),
                      .servers = servers});
  // A channel of its own: answers are received by the callbacks' thread once there is one.
  const std::shared_ptr<v1::Echo::StubInterface> by_callback =
      NewStub<v1::Echo>(Must(scene.echo->Clone(), "clone"));
  variants.push_back({.name = "stub_callback",
                      .call = [=] { PingByCallback(*by_callback, request); },
                      .calls = options.Calls(1000),
                      .servers = servers});
  for (const int threads : {1, 16}) {
    variants.push_back(
        {.name = absl::StrCat("threads_", threads),
         .calls = std::max(threads * 5, options.Calls(3200)),
         .servers = servers,
         .run = [=](int calls,
                    std::vector<double>& times) { CallByThreads(*stub, threads, calls, times); },
         .units = 1});
  }
  if (options.Wants("stream_message")) {
    variants.push_back({.name = "stream_message",
                        .call =
                            [chat = BeginChat(scene.echo)] {
                              v1::ChatResponse response;
                              Must(chat->stream->Write(chat->said) && chat->stream->Read(&response),
                                   "stream");
                            },
                        .calls = options.Calls(500),
                        .servers = servers});
  }
  if (options.Wants("limits_check_10")) {
    variants.push_back(LimitsCheck(options, "limits_check_10"));
  }
}

}  // namespace capbroker::bench
