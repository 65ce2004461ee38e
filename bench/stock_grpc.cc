#include "bench/stock_grpc.h"

#include <fcntl.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_posix.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "bench/echo_service.h"
#include "bench/must.h"

namespace capbroker::bench {
namespace {

// As the broker's own wires do: Debian's Abseil looks for deadlocks.
void ForgetDeadlocks() { absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore); }

// Serves `sockets` for good. gRPC's own bound of 4 MiB on a message is lifted.
void ServeGrpc(grpc::Service& service, std::vector<UniqueFd> sockets) {
  grpc::ServerBuilder builder;
  builder.RegisterService(&service);
  builder.SetMaxReceiveMessageSize(-1);
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 2);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  for (UniqueFd& socket : sockets) {
    grpc::AddInsecureChannelFromFd(server.get(), std::move(socket).Release());
  }
  server->Wait();
}

std::unique_ptr<v1::Echo::Stub> ConnectGrpc(UniqueFd socket) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  return v1::Echo::NewStub(
      grpc::CreateCustomInsecureChannelFromFd("stock", std::move(socket).Release(), arguments));
}

class CallbackEcho : public v1::Echo::CallbackService {
 public:
  grpc::ServerUnaryReactor* Ping(grpc::CallbackServerContext* context,
                                 const v1::PingRequest* request,
                                 v1::PingResponse* response) override {
    response->set_payload(request->payload());
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

// Calls on many channels, from gRPC's own threads.
class CallbackCaller {
 public:
  explicit CallbackCaller(std::vector<UniqueFd> sockets) : calls_(sockets.size()) {
    for (size_t i = 0; i < sockets.size(); ++i) {
      calls_[i].stub = ConnectGrpc(std::move(sockets[i]));
    }
  }

  void Run(int calls) {
    size_t first = 0;
    {
      absl::MutexLock lock(&mutex_);
      to_start_ = calls;
      to_end_ = calls;
      first = std::min(calls_.size(), static_cast<size_t>(calls));
      to_start_ -= static_cast<int>(first);
    }
    for (size_t i = 0; i < first; ++i) Start(calls_[i]);
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(
        +[](int* to_end) { return *to_end == 0; }, &to_end_));
  }

 private:
  struct Call {
    std::unique_ptr<v1::Echo::Stub> stub;
    std::unique_ptr<grpc::ClientContext> context;
    v1::PingResponse response;
  };

  void Start(Call& call) {
    call.context = std::make_unique<grpc::ClientContext>();
    call.stub->async()->Ping(call.context.get(), &request_, &call.response,
                             [this, &call](const grpc::Status& status) {
                               Must(status.ok(), "call of gRPC");
                               if (End()) Start(call);
                             });
  }

  // Whether another one is to be started.
  bool End() {
    absl::MutexLock lock(&mutex_);
    --to_end_;
    return to_start_-- > 0;
  }

  const v1::PingRequest request_ = RequestOf();
  std::vector<Call> calls_;
  absl::Mutex mutex_;
  int to_start_ ABSL_GUARDED_BY(mutex_) = 0;
  int to_end_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace

StockGrpc::StockGrpc() {
  SocketPair pair = MakeSocketPair(SOCK_STREAM | SOCK_NONBLOCK);
  socket_ = std::move(pair.ours);
  server_ = Fork([&pair] {
    ForgetDeadlocks();
    EchoService service;
    std::vector<UniqueFd> sockets;
    sockets.push_back(std::move(pair.theirs));
    ServeGrpc(service, std::move(sockets));
  });
}

std::unique_ptr<v1::Echo::Stub> StockGrpc::Connect() {
  ForgetDeadlocks();
  return ConnectGrpc(std::move(socket_));
}

ForkedPeers GrpcChannels(int count) {
  return ForkedPeers(
      SOCK_STREAM | SOCK_NONBLOCK, count,
      [](std::vector<UniqueFd> sockets) {
        ForgetDeadlocks();
        CallbackEcho service;
        ServeGrpc(service, std::move(sockets));
      },
      [](std::vector<UniqueFd> sockets) -> RunCalls {
        ForgetDeadlocks();
        return [caller = std::make_shared<CallbackCaller>(std::move(sockets))](
                   int calls, std::vector<double>&) { caller->Run(calls); };
      });
}

}  // namespace capbroker::bench
