// Where a proxy stands in a call whose requests are a stream: between the check of a
// wire and what is upstream (serving/wire_forward.h).
//
// Lives in: service processes of proxies.
#ifndef SERVING_WIRE_STREAM_TAP_H_
#define SERVING_WIRE_STREAM_TAP_H_

#include <google/protobuf/message.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <functional>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "serving/call.h"

namespace capbroker::serving {

// Of one call. All but Run() is called on the tap's own thread alone, where it may block.
class StreamTap {
 public:
  // Waits for the step that runs, and drops the others.
  virtual ~StreamTap() = default;

  // Runs `step` on the tap's thread, after those before it. Any thread.
  virtual void Run(std::function<void()> step) = 0;

  // The gRPC channel to what is upstream. Puts into `context` what is sent along.
  virtual absl::StatusOr<std::shared_ptr<grpc::Channel>> Open(grpc::ClientContext& context) = 0;

  // See Interposer. A status ends the call.
  virtual std::optional<grpc::Status> OnRequest(google::protobuf::Message& request) = 0;
  virtual grpc::Status OnResponse(google::protobuf::Message& response) = 0;
  virtual grpc::Status OnDone(const grpc::Status& status) = 0;
  // What may be told of a status that came from upstream.
  virtual grpc::Status Tell(const grpc::Status& status) const = 0;

  // Puts the next of the answers that were made in place of upstream's into `response`.
  virtual bool NextAnswer(google::protobuf::Message& response) = 0;
};

class StreamTaps {
 public:
  virtual ~StreamTaps() = default;
  // RESOURCE_EXHAUSTED: no thread for it. `context` outlives the tap.
  virtual absl::StatusOr<std::unique_ptr<StreamTap>> Tap(
      int method, std::unique_ptr<Call> call, const grpc::CallbackServerContext* context) = 0;
};

}  // namespace capbroker::serving

#endif  // SERVING_WIRE_STREAM_TAP_H_
