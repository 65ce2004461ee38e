// A service that is served by calling a channel of the same service: the part that knows
// the types. protoc-gen-capbroker generates for every service a proxy, an ordinary
// synchronous service whose methods are made of the functions here (foo.proxy.h).
//
// It is served like any other: limits, budget, both paths, revocation of its channels.
//
// Lives in: service processes of proxies.
#ifndef SERVING_INTERPOSITION_PROXY_H_
#define SERVING_INTERPOSITION_PROXY_H_

#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/sync_stream.h>

#include <memory>
#include <utility>

#include "serving/dispatch.h"
#include "serving/interposition/interposer.h"
#include "serving/interposition/interposition.h"
#include "serving/service.h"
#include "serving/service_needs.h"
#include "transport/stub.h"

namespace capbroker {

// The proxy of a proto service: `Proxy`. Specialised by generated code.
template <typename Service>
struct ProxyOf;

namespace serving {

// What a proxy that forwards to a server on another machine needs beside `own`, the needs of
// its interposer: to find the server, and to connect to its port.
ServiceNeeds RemoteNeeds(ServiceNeeds own);

// gRPC hands its handlers their own request as const; the proxy is the last to use it.
template <typename Request>
Request& Own(const Request* request) {
  return *const_cast<Request*>(request);
}

// `call` is a call of the method on `Service::StubInterface&`.
template <typename Service, typename Request, typename Response, typename Method>
grpc::Status ForwardUnary(Interposition& interposition, int method, grpc::ServerContext* context,
                          const Request* request, Response* response, Method call) {
  return interposition.Unary(method, context, Own(request), *response,
                             [&](void* stub, grpc::ClientContext* upstream) {
                               return call(*static_cast<typename Service::StubInterface*>(stub),
                                           upstream, *request, response);
                             });
}

template <typename Response>
class TypedAnswerStream final : public AnswerStream {
 public:
  explicit TypedAnswerStream(std::unique_ptr<grpc::ClientReaderInterface<Response>> reader)
      : reader_(std::move(reader)) {}

  void WaitForInitialMetadata() override { reader_->WaitForInitialMetadata(); }
  bool Read() override { return reader_->Read(&answer_); }
  google::protobuf::Message& answer() override { return answer_; }
  grpc::Status Finish() override { return reader_->Finish(); }

 private:
  const std::unique_ptr<grpc::ClientReaderInterface<Response>> reader_;
  Response answer_;
};

template <typename Service, typename Request, typename Response, typename Method>
grpc::Status ForwardServerStream(Interposition& interposition, int method,
                                 grpc::ServerContext* context, const Request* request,
                                 grpc::ServerWriter<Response>* writer, Method call) {
  return interposition.ServerStream(
      method, context, Own(request),
      [&](void* stub, grpc::ClientContext* upstream) -> std::unique_ptr<AnswerStream> {
        return std::make_unique<TypedAnswerStream<Response>>(
            call(*static_cast<typename Service::StubInterface*>(stub), upstream, *request));
      },
      [writer](const google::protobuf::Message& answer) {
        return writer->Write(static_cast<const Response&>(answer));
      });
}

template <typename Service>
std::shared_ptr<void> MakeProxyStub(std::shared_ptr<Channel> channel,
                                    const std::shared_ptr<grpc::Channel>& remote) {
  std::shared_ptr<typename Service::StubInterface> stub;
  if (channel != nullptr) {
    stub = NewStub<Service>(std::move(channel));
  } else {
    stub = Service::NewStub(remote);
  }
  return stub;
}

// Where a proxy with these inputs forwards to.
std::shared_ptr<Endpoint> ProxyEndpoint(const google::protobuf::ServiceDescriptor& service,
                                        const ServiceInputs& inputs, Endpoint::MakeStub make_stub);

// `methods` over `interposition`, which outlives it there.
std::unique_ptr<Dispatch> ServeProxy(std::unique_ptr<Interposition> interposition,
                                     std::unique_ptr<Dispatch> methods);

// The dispatch table of a proxy of `Service`.
template <typename Service>
std::unique_ptr<Dispatch> MakeProxy(const ServiceInputs& inputs,
                                    std::unique_ptr<Interposer> interposer) {
  using Proxy = typename ProxyOf<Service>::Proxy;
  const google::protobuf::ServiceDescriptor* const service =
      CapbrokerDescriptor(static_cast<const Proxy*>(nullptr));
  const Endpoint::MakeStub make_stub = &MakeProxyStub<Service>;
  auto interposition = std::make_unique<Interposition>(
      service, std::move(interposer), ProxyEndpoint(*service, inputs, make_stub), make_stub);
  auto proxy = std::make_unique<Proxy>(interposition.get());
  return ServeProxy(std::move(interposition), CapbrokerMakeDispatch(std::move(proxy)));
}

}  // namespace serving
}  // namespace capbroker

#endif  // SERVING_INTERPOSITION_PROXY_H_
