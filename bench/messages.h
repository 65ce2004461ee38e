// Large messages, answered with the same bytes: bytes of payload in a second, one way.
//
//   message_1m, message_64m             through a generated stub
//   grpc_message_1m, grpc_message_64m   through a stock gRPC stub, beside grpc_unary, a small call
#ifndef BENCH_MESSAGES_H_
#define BENCH_MESSAGES_H_

#include <memory>

#include "bench/echo.grpc.pb.h"
#include "bench/scene.h"

namespace capbroker::bench {

void AddMessages(const Scene& scene, Variants& variants);

// `stock`: a stub to a stock gRPC server, which is the process `server`.
void AddStockGrpc(const Options& options, const std::shared_ptr<v1::Echo::Stub>& stock,
                  pid_t server, Variants& variants);

}  // namespace capbroker::bench

#endif  // BENCH_MESSAGES_H_
