// Embedding the broker: a worker that may resolve one name, and nothing else.
#include <cstdio>

#include "capbroker/dns/v1/resolver.capbroker.h"
#include "client/broker.h"
#include "services/dns/grants.h"

namespace dns = capbroker::dns::v1;

// Runs in a worker, confined before its first line.
int ShowHost(capbroker::Grants grants) {
  const auto resolver = grants.Stub<dns::Resolver>("dns");
  grpc::ClientContext context;
  dns::ResolveRequest request;
  request.set_name("localhost");
  dns::ResolveResponse response;
  const grpc::Status status = resolver->Resolve(&context, request, &response);
  return status.ok() && response.endpoints_size() > 0 ? 0 : 1;
}

int main() {
  capbroker::Broker broker = capbroker::Broker::StartOrDie();  // first thing, before any thread
  absl::StatusOr<capbroker::Worker> worker = broker.Launch({
      .entry = ShowHost,
      .grants = {{"dns", capbroker::ResolveNames({"localhost"})}},
      .bounds = {.cpu_time = absl::Seconds(5), .memory = capbroker::Mebibytes(256)},
  });
  if (!worker.ok()) {
    std::fprintf(stderr, "%s\n", worker.status().ToString().c_str());
    return 1;
  }
  return worker->Wait().exit_code();
}
