// What a proxy does with a call: hands it to the interposer, forwards it, and hands the
// answer back. Independent of the service's types; generated code adds these
// (serving/interposition/proxy.h).
//
// Metadata and the deadline go along; so does cancellation, within some tens of
// milliseconds. The status of what is upstream is the caller's, with its details: a proxy
// adds no errors of its own but those of its own limits and of the membrane.
//
// Lives in: service processes of proxies. Thread-safe.
#ifndef SERVING_INTERPOSITION_INTERPOSITION_H_
#define SERVING_INTERPOSITION_INTERPOSITION_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>

#include <atomic>
#include <memory>

#include "absl/functional/function_ref.h"
#include "serving/call.h"
#include "serving/interposition/cancellation_watch.h"
#include "serving/interposition/endpoint.h"
#include "serving/interposition/interposer.h"
#include "serving/wire/stream_tap.h"

namespace capbroker::serving {

// A stream of answers from upstream.
class AnswerStream {
 public:
  virtual ~AnswerStream() = default;
  virtual void WaitForInitialMetadata() = 0;
  virtual bool Read() = 0;
  // What was read last.
  virtual google::protobuf::Message& answer() = 0;
  virtual grpc::Status Finish() = 0;
};

class Interposition final : public StreamTaps {
 public:
  // Calls on the proxy's channels go to `upstream`; `make_stub` is for channels that come
  // through later.
  Interposition(const google::protobuf::ServiceDescriptor* service,
                std::unique_ptr<Interposer> interposer, std::shared_ptr<Endpoint> upstream,
                Endpoint::MakeStub make_stub);
  ~Interposition() override;

  // An unary call. `forward` calls the method of the stub that it is given.
  using Forward = absl::FunctionRef<grpc::Status(void* stub, grpc::ClientContext* context)>;
  grpc::Status Unary(int method, grpc::ServerContext* context, google::protobuf::Message& request,
                     google::protobuf::Message& response, Forward forward);

  // A call with a stream of answers. `open` calls the method; `write` sends an answer to the
  // caller, false when that is of no use any more.
  using Open =
      absl::FunctionRef<std::unique_ptr<AnswerStream>(void* stub, grpc::ClientContext* context)>;
  using Write = absl::FunctionRef<bool(const google::protobuf::Message& answer)>;
  grpc::Status ServerStream(int method, grpc::ServerContext* context,
                            google::protobuf::Message& request, Open open, Write write);

  // StreamTaps: calls with a stream of requests.
  absl::StatusOr<std::unique_ptr<StreamTap>> Tap(
      int method, std::unique_ptr<Call> call, const grpc::CallbackServerContext* context) override;

 private:
  class Way;
  class Stream;

  // What the channel that `call` came on forwards to.
  std::shared_ptr<Endpoint> EndpointOf(Call& call) const;
  grpc::Status AnswerUnary(Way& way, grpc::ServerContext& context,
                           google::protobuf::Message& request, google::protobuf::Message& response,
                           Forward forward);
  grpc::Status AnswerStreaming(Way& way, grpc::ServerContext& context,
                               google::protobuf::Message& request, Open open, Write write);

  const google::protobuf::ServiceDescriptor* const service_;
  const std::unique_ptr<Interposer> interposer_;
  const std::shared_ptr<Endpoint> upstream_;
  const Endpoint::MakeStub make_stub_;
  CancellationWatch watch_;
  std::atomic<int> streams_{0};
};

}  // namespace capbroker::serving

#endif  // SERVING_INTERPOSITION_INTERPOSITION_H_
