// The service capbroker.net.v1.Listener: TCP servers, at addresses and ports that were granted.
//
// The generic checker has compared address and port with the channel's limits before the handler
// runs. What is left to do here is what no range can say: an address that means all of them.
//
// The socket listens when it is delivered. What was shut down could be made to listen again by
// whoever may call listen(2), so the holder may not, and need not.
//
// Lives in: a service process, one per family, confined to what Needs() says: it listens, and
// accepts nobody. Called by workers and their supervisors, not trusted. Thread-safe: without state.
#ifndef SERVICES_NET_LISTENER_SERVICE_H_
#define SERVICES_NET_LISTENER_SERVICE_H_

#include "capbroker/net/v1/listener.grpc.pb.h"
#include "serving/service_needs.h"

namespace capbroker::net {

class ListenerService final : public v1::Listener::Service {
 public:
  // The TCP ports of the limits.
  static serving::ServiceNeeds Needs();

  grpc::Status Listen(grpc::ServerContext* context, const v1::ListenRequest* request,
                      v1::ListenResponse* response) override;
};

}  // namespace capbroker::net

#endif  // SERVICES_NET_LISTENER_SERVICE_H_
