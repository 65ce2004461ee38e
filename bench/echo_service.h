// The benchmark's service, and how it is called.
#ifndef BENCH_ECHO_SERVICE_H_
#define BENCH_ECHO_SERVICE_H_

#include <cstddef>

#include "bench/echo.grpc.pb.h"
#include "bench/payload.h"
#include "client/grant.h"

namespace capbroker::bench {

// An ordinary subclass, for the broker and for stock gRPC.
class EchoService : public v1::Echo::Service {
 public:
  static constexpr bool kQuickHandlers = true;
  grpc::Status Ping(grpc::ServerContext* context, const v1::PingRequest* request,
                    v1::PingResponse* response) override;
  grpc::Status Chat(grpc::ServerContext* context,
                    grpc::ServerReaderWriter<v1::ChatResponse, v1::ChatRequest>* stream) override;
};

// To call all of it.
Authority EchoAuthority();

v1::PingRequest RequestOf(size_t payload = kPayload);

// Calls and dies of any other answer than the request's payload.
void Ping(v1::Echo::StubInterface& stub, const v1::PingRequest& request);

}  // namespace capbroker::bench

#endif  // BENCH_ECHO_SERVICE_H_
