// capbroker.v1.Capability: what every channel answers beside its own service.
//
// Lives in: service processes. Called by: whoever holds the channel; every method
// acts on the channel that the call came on.
#ifndef SERVING_CHANNEL_CAPABILITY_SERVICE_H_
#define SERVING_CHANNEL_CAPABILITY_SERVICE_H_

#include "capbroker/v1/capability.grpc.pb.h"

namespace capbroker::serving {

class CapabilityService final : public v1::Capability::Service {
 public:
  grpc::Status Describe(grpc::ServerContext* context, const v1::DescribeRequest* request,
                        v1::DescribeResponse* response) override;
  grpc::Status GetLimits(grpc::ServerContext* context, const v1::GetLimitsRequest* request,
                         v1::GetLimitsResponse* response) override;
  grpc::Status Narrow(grpc::ServerContext* context, const v1::NarrowRequest* request,
                      v1::NarrowResponse* response) override;
  grpc::Status Clone(grpc::ServerContext* context, const v1::CloneRequest* request,
                     v1::CloneResponse* response) override;
  grpc::Status Close(grpc::ServerContext* context, const v1::CloseRequest* request,
                     v1::CloseResponse* response) override;
  grpc::Status OpenWire(grpc::ServerContext* context, const v1::OpenWireRequest* request,
                        v1::OpenWireResponse* response) override;
};

}  // namespace capbroker::serving

#endif  // SERVING_CHANNEL_CAPABILITY_SERVICE_H_
