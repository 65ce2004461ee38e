// What the broker's calls are measured against, in child processes of the benchmark.
#ifndef BENCH_PEERS_H_
#define BENCH_PEERS_H_

#include <sys/types.h>

#include <memory>

#include "base/unique_fd.h"
#include "bench/echo.grpc.pb.h"

namespace capbroker::bench {

inline constexpr size_t kPayload = 32;

// A blocking seqpacket round trip of kPayload bytes: the base of all ratios.
class RawSeqpacket {
 public:
  RawSeqpacket();
  void Call();
  pid_t server() const { return server_; }

 private:
  UniqueFd socket_;
  pid_t server_;
};

// The benchmark's service, an ordinary subclass.
class EchoService : public v1::Echo::Service {
 public:
  static constexpr bool kQuickHandlers = true;
  grpc::Status Ping(grpc::ServerContext* context, const v1::PingRequest* request,
                    v1::PingResponse* response) override;
  grpc::Status Chat(grpc::ServerContext* context,
                    grpc::ServerReaderWriter<v1::ChatResponse, v1::ChatRequest>* stream) override;
};

// Stock gRPC over a socketpair: synchronous server and stub, as gRPC's users have
// them. To be made before this process uses gRPC: the server is forked.
class StockGrpc {
 public:
  StockGrpc();
  pid_t server() const { return server_; }
  // Starts gRPC in this process.
  std::unique_ptr<v1::Echo::Stub> Connect();

 private:
  UniqueFd socket_;
  pid_t server_;
};

}  // namespace capbroker::bench

#endif  // BENCH_PEERS_H_
