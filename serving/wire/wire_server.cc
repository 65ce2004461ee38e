#include "serving/wire/wire_server.h"

#include <grpcpp/create_channel_posix.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_posix.h>
#include <grpcpp/support/channel_arguments.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "base/errno_status.h"
#include "base/status_macros.h"
#include "transport/packet.h"

namespace capbroker::serving {
namespace {

// What bounds the worker on the other side of the wire, which speaks HTTP/2 as it
// likes: bytes of headers, streams at once, threads that they can occupy.
constexpr int kMaxStreams = 64;
constexpr int kMaxThreads = 32;

std::unique_ptr<grpc::Server> Build(grpc::Service* service, size_t max_message_bytes) {
  // Costs more than a microsecond for each call in Debian's build of Abseil.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  grpc::ResourceQuota quota("wire");
  quota.SetMaxThreads(kMaxThreads);
  grpc::ServerBuilder builder;
  builder.SetResourceQuota(quota);
  builder.SetMaxReceiveMessageSize(static_cast<int>(max_message_bytes));
  builder.SetMaxSendMessageSize(static_cast<int>(max_message_bytes));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreams);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE,
                             static_cast<int>(transport::kMaxMetadataSize));
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 2);
  builder.RegisterService(service);
  return builder.BuildAndStart();
}

struct SocketPair {
  UniqueFd client;
  UniqueFd server;
};

absl::StatusOr<SocketPair> MakeWire() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
    return ErrnoToStatus(errno, "make wire");
  }
  return SocketPair{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// gRPC closes the descriptors that it is given with its transport.

// Not gRPC's in-process transport: it drops a message that a handler sends together
// with its status while nobody is reading.
absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect(grpc::Server* server) {
  CB_ASSIGN_OR_RETURN(SocketPair pair, MakeWire());
  grpc::AddInsecureChannelFromFd(server, std::move(pair.server).Release());
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomInsecureChannelFromFd("handlers", std::move(pair.client).Release(),
                                                 arguments);
}

}  // namespace

absl::StatusOr<WireServer::Opened> WireServer::Open(Dispatch* dispatch,
                                                    std::shared_ptr<ChannelState> state) {
  CB_ASSIGN_OR_RETURN(SocketPair pair, MakeWire());
  const size_t bound = state->schema().max_message_bytes();
  std::unique_ptr<WireServer> wire(new WireServer(std::move(state), dispatch->taps()));
  wire->services_ = dispatch->MakeWire(&wire->gate_, &wire->to_inner_);
  if (wire->services_.inner != nullptr) {
    wire->inner_ = Build(wire->services_.inner.get(), bound);
    if (wire->inner_ == nullptr) return absl::ResourceExhaustedError("no server for the wire");
    CB_ASSIGN_OR_RETURN(wire->to_inner_, Connect(wire->inner_.get()));
  }
  wire->outer_ = Build(wire->services_.outer.get(), bound);
  if (wire->outer_ == nullptr) return absl::ResourceExhaustedError("no server for the wire");
  grpc::AddInsecureChannelFromFd(wire->outer_.get(), std::move(pair.server).Release());
  return Opened{std::move(wire), std::move(pair.client)};
}

WireServer::~WireServer() {
  const auto now = std::chrono::system_clock::now();
  if (outer_ != nullptr) outer_->Shutdown(now);
  if (inner_ != nullptr) inner_->Shutdown(now);
  // The outer server's calls hold the channel to the inner one.
  outer_.reset();
  to_inner_.reset();
  inner_.reset();
}

}  // namespace capbroker::serving
