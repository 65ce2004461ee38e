// Stock gRPC over socketpairs: servers and stubs as gRPC's users have them, in child processes
// of the benchmark.
#ifndef BENCH_STOCK_GRPC_H_
#define BENCH_STOCK_GRPC_H_

#include <sys/types.h>

#include <memory>

#include "base/unique_fd.h"
#include "bench/echo.grpc.pb.h"
#include "bench/forked.h"

namespace capbroker::bench {

// One synchronous server. To be made before this process uses gRPC: the server is forked.
class StockGrpc {
 public:
  StockGrpc();
  pid_t server() const { return server_; }
  // Starts gRPC in this process. Once.
  std::unique_ptr<v1::Echo::Stub> Connect();

 private:
  UniqueFd socket_;
  pid_t server_;
};

// `count` gRPC channels to one server, one callback call at a time on each.
ForkedPeers GrpcChannels(int count);

}  // namespace capbroker::bench

#endif  // BENCH_STOCK_GRPC_H_
