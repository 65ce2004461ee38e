// Calls from one CPU to another: caller and service do not take turns, so what a call costs is the
// waking of the other, or nothing of that where both stay awake.
//
//   stub_unary_adaptive    a call through a generated stub, back to back: both ends look for the
//                          next packet for a while before they sleep (transport/polling.h)
//   paced_just_in_time     the same of a caller that pauses: almost for as long as the service
//                          looks; CPU time is the service's alone
//   paced_in_vain          longer, so that the service gives it up, and waits
//   raw_seqpacket_apart    the bare blocking round trip so placed
//   grpc_unary_apart       stock gRPC so placed
//
// None of them on a machine with one CPU.
#ifndef BENCH_APART_H_
#define BENCH_APART_H_

#include "bench/raw_peers.h"
#include "bench/scene.h"
#include "bench/stock_grpc.h"

namespace capbroker::bench {

// To be made before this process uses gRPC.
class Apart {
 public:
  void AddTo(const Scene& scene, Variants& variants);

 private:
  RawSeqpacket raw_;
  StockGrpc stock_;
};

}  // namespace capbroker::bench

#endif  // BENCH_APART_H_
