// The service capbroker.dns.v1.Resolver: names to addresses and back.
//
// The generic checker has compared the request with the channel's limits before a
// handler runs. What is left to do here is what only the answer tells: addresses
// outside of `address_ranges` and names outside of `names` do not reach the worker,
// and a name that is made with a search domain is checked like one that was asked
// for.
//
// Lives in: a service process, confined to what Needs() says. Called by workers, not trusted.
// Thread-safe; no call blocks another, or the thread that it came on.
#ifndef SERVICES_DNS_RESOLVER_SERVICE_H_
#define SERVICES_DNS_RESOLVER_SERVICE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "capbroker/dns/v1/resolver.grpc.pb.h"
#include "services/dns/services_file.h"
#include "services/hosts/config_file.h"
#include "services/hosts/host_database.h"
#include "serving/service_needs.h"

namespace capbroker::dns {

using hosts::ConfigFile;
using hosts::HostDatabase;
using hosts::HostDatabaseOptions;

// Defaults: what the system has.
struct ResolverOptions {
  HostDatabaseOptions hosts;
  std::string services_path = "/etc/services";
};

class ResolverService final : public v1::Resolver::CallbackService {
 public:
  explicit ResolverService(ResolverOptions options = {});

  static serving::ServiceNeeds Needs();
  static serving::ServiceNeeds Needs(const ResolverOptions& options);
  // Loads the modules that nsswitch.conf names: a confined process maps no code.
  static void Prepare();

  grpc::ServerUnaryReactor* Resolve(grpc::CallbackServerContext* context,
                                    const v1::ResolveRequest* request,
                                    v1::ResolveResponse* response) override;
  grpc::ServerUnaryReactor* ReverseResolve(grpc::CallbackServerContext* context,
                                           const v1::ReverseResolveRequest* request,
                                           v1::ReverseResolveResponse* response) override;

 private:
  class Reply;

  // INVALID_ARGUMENT, NOT_FOUND. No text is port 0.
  absl::StatusOr<uint16_t> PortOf(absl::string_view service);

  ConfigFile<ServicesFile> services_;
  HostDatabase hosts_;
};

}  // namespace capbroker::dns

#endif  // SERVICES_DNS_RESOLVER_SERVICE_H_
