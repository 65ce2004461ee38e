#include "bench/apart.h"

#include <memory>

#include "bench/echo.capbroker.h"
#include "bench/echo_service.h"
#include "bench/must.h"
#include "bench/process_facts.h"
#include "transport/stub.h"

namespace capbroker::bench {

void Apart::AddTo(const Scene& scene, Variants& variants) {
  const Options& options = scene.options;
  const auto channel = Must(scene.broker.Open(EchoAuthority()), "open echo");
  const pid_t server = NewestServer(scene.broker);
  for (const pid_t process : {raw_.server(), stock_.server(), server}) {
    if (!LetRunElsewhere(process)) return;
  }
  const std::shared_ptr<v1::Echo::StubInterface> stub = NewStub<v1::Echo>(channel);
  const std::shared_ptr<v1::Echo::StubInterface> stock = stock_.Connect();
  const v1::PingRequest request = RequestOf();
  variants.push_back({.name = "stub_unary_adaptive",
                      .call = [=] { Ping(*stub, request); },
                      .calls = options.Calls(3000),
                      .servers = {server}});
  variants.push_back({.name = "raw_seqpacket_apart",
                      .call = [this] { raw_.Call(); },
                      .calls = options.Calls(500),
                      .servers = {raw_.server()}});
  variants.push_back({.name = "grpc_unary_apart",
                      .call = [=] { Ping(*stock, request); },
                      .calls = options.Calls(500),
                      .servers = {stock_.server()}});
}

}  // namespace capbroker::bench
