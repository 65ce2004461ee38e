// Where a proxy's calls go: a channel, or a gRPC server on another machine.
//
// Lives in: service processes of proxies. Thread-safe.
#ifndef SERVING_INTERPOSITION_ENDPOINT_H_
#define SERVING_INTERPOSITION_ENDPOINT_H_

#include <grpcpp/channel.h>
#include <grpcpp/support/status.h>

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "capbroker/v1/interposition.pb.h"
#include "serving/upstream_channel.h"
#include "transport/channel.h"

namespace capbroker::serving {

class Endpoint {
 public:
  // Makes a `Service::StubInterface` over whichever of the two is given.
  using MakeStub = std::shared_ptr<void> (*)(std::shared_ptr<Channel> channel,
                                             const std::shared_ptr<grpc::Channel>& remote);

  virtual ~Endpoint() = default;

  // The stub; the same one each time.
  virtual absl::StatusOr<std::shared_ptr<void>> Stub(absl::Time deadline) = 0;
  // The gRPC channel, for streams.
  virtual absl::StatusOr<std::shared_ptr<grpc::Channel>> Grpc(absl::Time deadline) = 0;
  virtual bool CarriesDescriptors() const = 0;
  // Whether metadata of the caller is sent along.
  virtual bool Sends(absl::string_view metadata_key) const = 0;
  // What the caller may be told of a status that came from there.
  virtual grpc::Status Tell(const grpc::Status& status) const = 0;
};

std::shared_ptr<Endpoint> MakeLaneEndpoint(std::shared_ptr<UpstreamChannel> channel,
                                           Endpoint::MakeStub make_stub);

// Connects at the first call, over TLS, and starts gRPC's core in this process then.
// TRUST(network): what comes from there is bounded as what comes from a worker.
std::shared_ptr<Endpoint> MakeRemoteEndpoint(const v1::RemoteServer& server,
                                             size_t max_message_bytes,
                                             Endpoint::MakeStub make_stub);

// One whose every call ends with `status`.
std::shared_ptr<Endpoint> MakeFailingEndpoint(const absl::Status& status);

}  // namespace capbroker::serving

#endif  // SERVING_INTERPOSITION_ENDPOINT_H_
