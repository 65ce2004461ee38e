// A gRPC channel without a transport, whose every call fails with one status, details
// included: for a stub that is to have a channel and has none.
//
// Lives in: whoever calls. Thread-safe. Starts gRPC's core.
#ifndef TRANSPORT_FAILING_CHANNEL_H_
#define TRANSPORT_FAILING_CHANNEL_H_

#include <grpcpp/channel.h>
#include <grpcpp/support/status.h>

#include <memory>

namespace capbroker::transport {

// `status`: not OK.
std::shared_ptr<grpc::Channel> FailingChannel(const grpc::Status& status);

}  // namespace capbroker::transport

#endif  // TRANSPORT_FAILING_CHANNEL_H_
