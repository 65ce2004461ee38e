#include "bench/apart.h"

#include <memory>
#include <string>

#include "bench/echo.capbroker.h"
#include "bench/echo_service.h"
#include "bench/measure.h"
#include "bench/must.h"
#include "bench/process_facts.h"
#include "transport/stub.h"

namespace capbroker::bench {
namespace {

// A service looks for 50 us (transport/polling.h).
constexpr double kJustInTime = 40e-6;
constexpr double kInVain = 200e-6;

// On a channel of its own, whose looking depends on its own calls.
Variant PacedCalls(const std::string& name, Channel& channel, double pause_seconds, pid_t server,
                   int calls) {
  const std::shared_ptr<v1::Echo::StubInterface> stub =
      NewStub<v1::Echo>(Must(channel.Clone(), "clone"));
  const auto pause = [pause_seconds] {
    const double begun = MonotonicSeconds();
    while (MonotonicSeconds() - begun < pause_seconds) {
    }
  };
  return {.name = name,
          .call = [stub, request = RequestOf()] { Ping(*stub, request); },
          .calls = calls,
          .servers = {server},
          .counts_caller = false,
          .after = pause};
}

}  // namespace

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
  variants.push_back(
      PacedCalls("paced_just_in_time", *channel, kJustInTime, server, options.Calls(2000)));
  variants.push_back(PacedCalls("paced_in_vain", *channel, kInVain, server, options.Calls(1000)));
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
