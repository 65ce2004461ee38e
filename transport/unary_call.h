// A unary rpc on a lane with gRPC's contexts and statuses: what generated stubs
// call. Lives in: whoever holds a channel. Thread-safe.
#ifndef TRANSPORT_UNARY_CALL_H_
#define TRANSPORT_UNARY_CALL_H_

#include <google/protobuf/message.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>
#include <grpcpp/support/status.h>

#include <functional>

#include "transport/lane_client.h"

namespace capbroker::transport {

// One method as a client knows it; a constant of generated code.
struct ClientMethod {
  const char* name;           // "/package.Service/Method"
  uint64_t id;                // MethodId(name)
  bool request_descriptors;   // the request's message can name descriptors
  bool response_descriptors;  // the response's can
};

// Calls and waits.
grpc::Status CallUnary(LaneClient& lane, const ClientMethod& method, grpc::ClientContext* context,
                       const google::protobuf::Message& request,
                       google::protobuf::Message* response);

// Calls and returns; `done` runs on one of the channel's callback threads, of which there are two
// at most, or in its loop (transport/callback_loop.h), and must not block. It may run before this
// returns, and beside another call's where there are threads. Context, request and response live
// until then.
void StartUnary(LaneClient& lane, const ClientMethod& method, grpc::ClientContext* context,
                const google::protobuf::Message* request, google::protobuf::Message* response,
                std::function<void(grpc::Status)> done);

// The same with a reactor: the call starts with its StartCall().
void BindUnary(LaneClient& lane, const ClientMethod& method, grpc::ClientContext* context,
               const google::protobuf::Message* request, google::protobuf::Message* response,
               grpc::ClientUnaryReactor* reactor);

}  // namespace capbroker::transport

#endif  // TRANSPORT_UNARY_CALL_H_
