#include "bench/peers.h"

#include <fcntl.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_posix.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "absl/base/internal/raw_logging.h"
#include "absl/synchronization/mutex.h"

namespace capbroker::bench {
namespace {

struct Pair {
  UniqueFd ours;
  UniqueFd theirs;
};

Pair MakePair(int type) {
  int ends[2];
  ABSL_RAW_CHECK(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

template <typename Body>
pid_t ForkServer(Body body) {
  const pid_t child = fork();
  ABSL_RAW_CHECK(child >= 0, "fork");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    body();
    _exit(0);
  }
  return child;
}

}  // namespace

RawSeqpacket::RawSeqpacket() {
  Pair pair = MakePair(SOCK_SEQPACKET);
  socket_ = std::move(pair.ours);
  server_ = ForkServer([&pair] {
    char data[kPayload];
    ssize_t size;
    while ((size = recv(pair.theirs.get(), data, sizeof data, 0)) > 0) {
      if (send(pair.theirs.get(), data, static_cast<size_t>(size), MSG_NOSIGNAL) < 0) return;
    }
  });
}

void RawSeqpacket::Call() {
  char data[kPayload] = {};
  const bool answered = send(socket_.get(), data, sizeof data, MSG_NOSIGNAL) == sizeof data &&
                        recv(socket_.get(), data, sizeof data, 0) == sizeof data;
  ABSL_RAW_CHECK(answered, "seqpacket round trip");
}

grpc::Status EchoService::Ping(grpc::ServerContext*, const v1::PingRequest* request,
                               v1::PingResponse* response) {
  response->set_payload(request->payload());
  return grpc::Status::OK;
}

grpc::Status EchoService::Chat(
    grpc::ServerContext*, grpc::ServerReaderWriter<v1::ChatResponse, v1::ChatRequest>* stream) {
  v1::ChatRequest request;
  v1::ChatResponse response;
  while (stream->Read(&request)) {
    response.set_payload(request.payload());
    stream->Write(response);
  }
  return grpc::Status::OK;
}

StockGrpc::StockGrpc() {
  Pair pair = MakePair(SOCK_STREAM | SOCK_NONBLOCK);
  socket_ = std::move(pair.ours);
  server_ = ForkServer([&pair] {
    // As the broker's own wires do: Debian's Abseil looks for deadlocks.
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
    EchoService service;
    grpc::ServerBuilder builder;
    builder.RegisterService(&service);
    builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 2);
    const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
    grpc::AddInsecureChannelFromFd(server.get(), std::move(pair.theirs).Release());
    server->Wait();
  });
}

std::unique_ptr<v1::Echo::Stub> StockGrpc::Connect() {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return v1::Echo::NewStub(
      grpc::CreateInsecureChannelFromFd("stock", std::move(socket_).Release()));
}

}  // namespace capbroker::bench
