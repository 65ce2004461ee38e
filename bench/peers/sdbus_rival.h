// D-Bus between two processes without a daemon, by systemd's library.
#ifndef BENCH_PEERS_SDBUS_RIVAL_H_
#define BENCH_PEERS_SDBUS_RIVAL_H_

#include "bench/forked.h"

namespace capbroker::bench {

// Small calls, one after the other.
ForkedPeers SdBusUnary();

}  // namespace capbroker::bench

#endif  // BENCH_PEERS_SDBUS_RIVAL_H_
