#include "bench/echo_service.h"

#include <string>

#include "bench/echo.dispatch.h"
#include "bench/must.h"
#include "services/service.h"

namespace capbroker::bench {

grpc::Status EchoService::Ping(grpc::ServerContext*, const v1::PingRequest* request,
                               v1::PingResponse* response) {
  response->set_payload(request->payload());
  return grpc::Status::OK;
}

grpc::Status EchoService::Chat(
    grpc::ServerContext*, grpc::ServerReaderWriter<v1::ChatResponse, v1::ChatRequest>* stream) {
  v1::ChatRequest request;
  v1::ChatResponse response;
  while (stream->Read(&request)) {
    response.set_payload(request.payload());
    stream->Write(response);
  }
  return grpc::Status::OK;
}

Authority EchoAuthority() {
  v1::EchoLimits limits;
  limits.add_operations(v1::OPERATION_PING);
  limits.add_operations(v1::OPERATION_CHAT);
  limits.set_max_number(1);
  return Serve<EchoService>(limits, {.wire = true});
}

v1::PingRequest RequestOf(size_t payload) {
  v1::PingRequest request;
  request.set_payload(std::string(payload, 'x'));
  request.set_number(1);
  return request;
}

void Ping(v1::Echo::StubInterface& stub, const v1::PingRequest& request) {
  grpc::ClientContext context;
  v1::PingResponse response;
  const grpc::Status status = stub.Ping(&context, request, &response);
  if (!status.ok()) Fail("ping", status.error_message());
  Must(response.payload().size() == request.payload().size(), "ping: the size of the answer");
}

}  // namespace capbroker::bench
