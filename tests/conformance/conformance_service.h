// The service under test: an ordinary subclass of gRPC's generated class.
#ifndef TESTS_CONFORMANCE_CONFORMANCE_SERVICE_H_
#define TESTS_CONFORMANCE_CONFORMANCE_SERVICE_H_

#include "tests/conformance/conformance.grpc.pb.h"

namespace capbroker::testing {

class ConformanceService final : public v1::Conformance::Service {
 public:
  grpc::Status Echo(grpc::ServerContext* context, const v1::EchoRequest* request,
                    v1::EchoResponse* response) override;
  grpc::Status Fail(grpc::ServerContext* context, const v1::FailRequest* request,
                    v1::FailResponse* response) override;
  grpc::Status Wait(grpc::ServerContext* context, const v1::WaitRequest* request,
                    v1::WaitResponse* response) override;
  grpc::Status Exchange(grpc::ServerContext* context, const v1::ExchangeRequest* request,
                        v1::ExchangeResponse* response) override;
  grpc::Status Count(grpc::ServerContext* context, const v1::CountRequest* request,
                     grpc::ServerWriter<v1::CountResponse>* writer) override;
  grpc::Status Sum(grpc::ServerContext* context, grpc::ServerReader<v1::SumRequest>* reader,
                   v1::SumResponse* response) override;
  grpc::Status Chat(grpc::ServerContext* context,
                    grpc::ServerReaderWriter<v1::ChatResponse, v1::ChatRequest>* stream) override;

  // Requests that reached a handler, and handlers that saw their call cancelled.
  static int handled();
  static int cancelled();
};

}  // namespace capbroker::testing

#endif  // TESTS_CONFORMANCE_CONFORMANCE_SERVICE_H_
