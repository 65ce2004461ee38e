#include "bench/peers/capnp_rival.h"

#include <capnp/rpc-twoparty.h>
#include <kj/async-io.h>
#include <sys/socket.h>

#include <memory>
#include <utility>
#include <vector>

#include "bench/must.h"
#include "bench/payload.h"
#include "bench/peers/echo.capnp.h"

namespace capbroker::bench {
namespace {

using capnp_echo::Echo;
using kj::LowLevelAsyncIoProvider;

class Server final : public Echo::Server {
  kj::Promise<void> ping(PingContext context) override {
    context.getResults().setPayload(context.getParams().getPayload());
    return kj::READY_NOW;
  }
};

void Serve(std::vector<UniqueFd> sockets) {
  kj::AsyncIoContext io = kj::setupAsyncIo();
  Echo::Client echo = kj::heap<Server>();
  std::vector<kj::Own<kj::AsyncIoStream>> streams;
  std::vector<kj::Own<capnp::TwoPartyClient>> peers;
  for (UniqueFd& socket : sockets) {
    streams.push_back(io.lowLevelProvider->wrapSocketFd(std::move(socket).Release(),
                                                        LowLevelAsyncIoProvider::TAKE_OWNERSHIP));
    peers.push_back(
        kj::heap<capnp::TwoPartyClient>(*streams.back(), echo, capnp::rpc::twoparty::Side::SERVER));
  }
  kj::NEVER_DONE.wait(io.waitScope);
}

// Connections, and calls on them.
class Caller {
 public:
  explicit Caller(std::vector<UniqueFd> sockets) : io_(kj::setupAsyncIo()) {
    for (UniqueFd& socket : sockets) {
      auto connection = std::make_unique<Connection>();
      connection->stream = io_.lowLevelProvider->wrapSocketFd(
          std::move(socket).Release(), LowLevelAsyncIoProvider::TAKE_OWNERSHIP);
      connection->peer = kj::heap<capnp::TwoPartyClient>(*connection->stream);
      connection->echo = connection->peer->bootstrap().castAs<Echo>();
      connections_.push_back(std::move(connection));
    }
  }

  void CallOnce() {
    auto answer = Request(*connections_[0]).send().wait(io_.waitScope);
    Must(answer.getPayload().size() == kPayload, "call of Cap'n Proto");
  }

  // On all of them, `calls` in all.
  void CallOnAll(int calls) {
    to_start_ = calls;
    kj::Vector<kj::Promise<void>> pending;
    for (const auto& connection : connections_) pending.add(Continue(*connection));
    kj::joinPromises(pending.releaseAsArray()).wait(io_.waitScope);
  }

 private:
  struct Connection {
    kj::Own<kj::AsyncIoStream> stream;
    kj::Own<capnp::TwoPartyClient> peer;
    Echo::Client echo = nullptr;
  };

  static capnp::Request<Echo::PingParams, Echo::PingResults> Request(Connection& connection) {
    static constexpr kj::byte kBytes[kPayload] = {};
    auto request = connection.echo.pingRequest();
    request.setPayload(kj::arrayPtr(kBytes, kPayload));
    return request;
  }

  kj::Promise<void> Continue(Connection& connection) {
    if (to_start_ == 0) return kj::READY_NOW;
    --to_start_;
    return Request(connection).send().then([this, &connection](auto&&) {
      return Continue(connection);
    });
  }

  kj::AsyncIoContext io_;
  std::vector<std::unique_ptr<Connection>> connections_;
  int to_start_ = 0;
};

}  // namespace

ForkedPeers CapnpUnary() {
  return ForkedPeers(SOCK_STREAM, 1, Serve, [](std::vector<UniqueFd> sockets) -> RunCalls {
    return [caller = std::make_shared<Caller>(std::move(sockets))](int calls,
                                                                   std::vector<double>& times) {
      TimeCalls(calls, times, [&caller] { caller->CallOnce(); });
    };
  });
}

ForkedPeers CapnpChannels(int count) {
  return ForkedPeers(SOCK_STREAM, count, Serve, [](std::vector<UniqueFd> sockets) -> RunCalls {
    return [caller = std::make_shared<Caller>(std::move(sockets))](
               int calls, std::vector<double>&) { caller->CallOnAll(calls); };
  });
}

}  // namespace capbroker::bench
