// What the kernel alone can do: the base of all ratios, and what many channels are measured
// against. In child processes of the benchmark.
#ifndef BENCH_RAW_PEERS_H_
#define BENCH_RAW_PEERS_H_

#include <sys/types.h>

#include "base/unique_fd.h"
#include "bench/forked.h"

namespace capbroker::bench {

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

// `count` seqpacket sockets, one round trip at a time on each: a caller and a server, each
// with one epoll loop.
ForkedPeers RawEpoll(int count);

}  // namespace capbroker::bench

#endif  // BENCH_RAW_PEERS_H_
