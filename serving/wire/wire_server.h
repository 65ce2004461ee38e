// The wire of one channel: a gRPC server of its own on one socket.
//
// The server object is the channel's identity; gRPC's peer string would not be
// (descriptor numbers are reused). It starts gRPC's core in the service process,
// which is why it exists only for a grant that allows it and once it is asked for.
//
// Lives in: service processes. Thread-safe.
#ifndef SERVING_WIRE_WIRE_SERVER_H_
#define SERVING_WIRE_WIRE_SERVER_H_

#include <grpcpp/server.h>

#include <memory>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "serving/channel/channel_state.h"
#include "serving/dispatch.h"
#include "serving/wire/wire_gate.h"

namespace capbroker::serving {

class WireServer {
 public:
  // Serves `dispatch` under the limits of `state` on one end of a new socketpair;
  // gives the other, nonblocking.
  struct Opened;
  static absl::StatusOr<Opened> Open(Dispatch* dispatch, std::shared_ptr<ChannelState> state);

  // Ends calls in flight, because the channel is revoked. Later ones the gate refuses.
  void Revoke() { gate_.Revoke(); }

  // Ends calls in flight and the connection; waits for handlers.
  ~WireServer();

 private:
  WireServer(std::shared_ptr<ChannelState> state, StreamTaps* taps)
      : gate_(std::move(state), taps) {}

  WireGate gate_;
  WireServices services_;
  std::shared_ptr<grpc::Channel> to_inner_;
  std::unique_ptr<grpc::Server> inner_;
  std::unique_ptr<grpc::Server> outer_;
};

struct WireServer::Opened {
  std::unique_ptr<WireServer> server;
  UniqueFd client_end;
};

}  // namespace capbroker::serving

#endif  // SERVING_WIRE_WIRE_SERVER_H_
