// The service capbroker.net.v1.Connector: TCP connections to hosts that were granted by name.
//
// The generic checker has compared the request with the channel's limits before a handler runs.
// What is left to do here is what only the answer tells: a name that is allowed leads only to
// addresses that are allowed, and an address is connected to only if it was given for such a name.
//
// Lives in: a service process, one per family, confined to what Needs() says. Called by workers and
// their supervisors, not trusted. Thread-safe. Handlers wait, on the threads of their call.
#ifndef SERVICES_NET_CONNECTOR_SERVICE_H_
#define SERVICES_NET_CONNECTOR_SERVICE_H_

#include <string>

#include "absl/status/statusor.h"
#include "capbroker/net/v1/connector.grpc.pb.h"
#include "services/hosts/host_database.h"
#include "services/hosts/host_source.h"
#include "services/net/known_addresses.h"
#include "serving/call.h"
#include "serving/service_needs.h"

namespace capbroker::net {

class ConnectorService final : public v1::Connector::Service {
 public:
  // By default, what the system has.
  explicit ConnectorService(hosts::HostDatabaseOptions options = {});

  // What finding hosts takes, and the TCP ports of the limits.
  static serving::ServiceNeeds Needs();
  static serving::ServiceNeeds Needs(const hosts::HostDatabaseOptions& options);
  // Loads the modules that nsswitch.conf names: a confined process maps no code.
  static void Prepare();

  grpc::Status Connect(grpc::ServerContext* context, const v1::ConnectRequest* request,
                       v1::ConnectResponse* response) override;
  grpc::Status Lookup(grpc::ServerContext* context, const v1::LookupRequest* request,
                      v1::LookupResponse* response) override;
  grpc::Status ConnectAddress(grpc::ServerContext* context,
                              const v1::ConnectAddressRequest* request,
                              v1::ConnectAddressResponse* response) override;

 private:
  struct Families {
    bool v4 = false;
    bool v6 = false;
  };

  static Families FamiliesOf(const google::protobuf::RepeatedField<int>& wanted,
                             const authority::Limits& limits);
  // Of a name or a number, in the order to be tried in. What the limits do not allow is left out;
  // if nothing is left, the call is refused.
  absl::StatusOr<hosts::HostAnswer> Find(grpc::ServerContext* context, const serving::Call& call,
                                         const std::string& name, Families families);
  absl::StatusOr<hosts::HostAnswer> Ask(grpc::ServerContext* context, const serving::Call& call,
                                        const std::string& name, Families families);

  KnownAddresses known_;
  hosts::HostDatabase hosts_;
};

}  // namespace capbroker::net

#endif  // SERVICES_NET_CONNECTOR_SERVICE_H_
