#include "bench/messages.h"

#include <string>
#include <utility>

#include "bench/echo.capbroker.h"
#include "bench/echo_service.h"
#include "transport/stub.h"

namespace capbroker::bench {
namespace {

constexpr size_t kMebibyte = 1 << 20;
// A message of 64 MiB has its payload and some bytes that say what it is.
constexpr size_t kLargest = 64 * kMebibyte - 64;

void Add(const std::string& name, std::shared_ptr<v1::Echo::StubInterface> stub, pid_t server,
         size_t size, int calls, const Options& options, Variants& variants) {
  if (!options.Wants(name)) return;
  variants.push_back(
      {.name = name,
       .call = [stub = std::move(stub), request = RequestOf(size)] { Ping(*stub, request); },
       .calls = options.Calls(calls),
       .servers = {server},
       .units = static_cast<double>(size)});
}

}  // namespace

void AddMessages(const Scene& scene, Variants& variants) {
  const std::shared_ptr<v1::Echo::StubInterface> stub = NewStub<v1::Echo>(scene.echo);
  Add("message_1m", stub, scene.echo_server, kMebibyte, 50, scene.options, variants);
  Add("message_64m", stub, scene.echo_server, kLargest, 2, scene.options, variants);
}

void AddStockGrpc(const Options& options, const std::shared_ptr<v1::Echo::Stub>& stock,
                  pid_t server, Variants& variants) {
  variants.push_back({.name = "grpc_unary",
                      .call = [stock, request = RequestOf()] { Ping(*stock, request); },
                      .calls = options.Calls(500),
                      .servers = {server}});
  Add("grpc_message_1m", stock, server, kMebibyte, 50, options, variants);
  Add("grpc_message_64m", stock, server, kLargest, 2, options, variants);
}

}  // namespace capbroker::bench
