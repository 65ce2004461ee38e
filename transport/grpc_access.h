// Everything that this project reads or writes inside of gRPC's context objects.
//
// gRPC's generated interfaces are used without its core: a call on a lane still
// gets a real ClientContext and a real ServerContext, whose metadata, deadline
// and cancellation have no public setters. gRPC befriends two inspector classes
// that it declares and does not install; they are defined here. Checked for gRPC
// 1.51; another version has to be checked against this file alone.
//
// Runs in every process.
#ifndef TRANSPORT_GRPC_ACCESS_H_
#define TRANSPORT_GRPC_ACCESS_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/client_interceptor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "capbroker/v1/lane.pb.h"

namespace grpc {

// Exported by gRPC's library, and declared in a header that is not installed.
std::shared_ptr<Channel> CreateChannelInternal(
    const std::string& host, grpc_channel* c_channel,
    std::vector<std::unique_ptr<experimental::ClientInterceptorFactoryInterface>>
        interceptor_creators);

}  // namespace grpc

namespace grpc::testing {

class InteropClientContextInspector {
 public:
  // Metadata that the caller sends.
  static const std::multimap<std::string, std::string>& SentMetadata(const ClientContext& context);
  // Whether TryCancel() was called. Any thread.
  static bool IsCancelled(ClientContext& context);
  // Makes `reply` what GetServerInitialMetadata() and GetServerTrailingMetadata()
  // give. The context keeps the strings.
  static void SetServerMetadata(ClientContext& context, const capbroker::v1::ReplyMetadata& reply);
};

class InteropServerContextInspector {
 public:
  // Time left as CLOCK_MONOTONIC nanoseconds; 0: none.
  static void SetDeadline(ServerContextBase& context, int64_t deadline_ns);
  // The views stay valid as long as `metadata`.
  static void SetClientMetadata(ServerContextBase& context,
                                const capbroker::v1::RequestMetadata& metadata);
  // Makes IsCancelled() true. Any thread.
  static void Cancel(ServerContextBase& context);
  static const std::multimap<std::string, std::string>& InitialMetadata(
      const ServerContextBase& context);
  static const std::multimap<std::string, std::string>& TrailingMetadata(
      const ServerContextBase& context);
};

}  // namespace grpc::testing

namespace capbroker::transport {

using ClientContextAccess = grpc::testing::InteropClientContextInspector;
using ServerContextAccess = grpc::testing::InteropServerContextInspector;

// A ClientContext's deadline as CLOCK_MONOTONIC nanoseconds; 0: none.
int64_t DeadlineNs(const grpc::ClientContext& context);

}  // namespace capbroker::transport

#endif  // TRANSPORT_GRPC_ACCESS_H_
