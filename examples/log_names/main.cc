// Interposition: a worker that may resolve one name, and a log of what it asks.
#include <cstdio>

#include "capbroker/dns/v1/resolver.proxy.h"
#include "client/broker.h"
#include "services/dns/grants.h"
#include "services/dns/resolver_limits.h"
#include "services/interpose.h"

namespace dns = capbroker::dns::v1;

// Sees every call between the worker and the Resolver. Runs in a process of its own.
class NameLog : public capbroker::Interposer {
 public:
  std::optional<grpc::Status> OnRequest(capbroker::InterposedCall& call,
                                        google::protobuf::Message& request) override {
    std::fprintf(stderr, "%s %s\n", call.method().name().c_str(),
                 request.ShortDebugString().c_str());
    return std::nullopt;  // passed on as it is
  }
};

// Runs in a worker, confined before its first line.
int AskTwice(capbroker::Grants grants) {
  const auto resolver = grants.Stub<dns::Resolver>("dns");
  int resolved = 0;
  for (const char* name : {"localhost", "elsewhere.invalid"}) {
    grpc::ClientContext context;
    dns::ResolveRequest request;
    request.set_name(name);
    dns::ResolveResponse response;
    if (resolver->Resolve(&context, request, &response).ok()) ++resolved;
  }
  return resolved == 1 ? 0 : 1;
}

int main() {
  capbroker::Broker broker = capbroker::Broker::StartOrDie();  // first thing, before any thread
  const auto names = broker.Open(capbroker::ResolveNames({"localhost", "elsewhere.invalid"}));
  if (!names.ok()) return 1;
  absl::StatusOr<capbroker::Worker> worker = broker.Launch({
      .entry = AskTwice,
      .grants = {{"dns", capbroker::Interpose<dns::Resolver, NameLog>(
                             *names, capbroker::dns::LimitsForNames({"localhost"}))}},
  });
  if (!worker.ok()) {
    std::fprintf(stderr, "%s\n", worker.status().ToString().c_str());
    return 1;
  }
  return worker->Wait().exit_code();
}
