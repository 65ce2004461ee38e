// Cap'n Proto RPC over socketpairs, with a loop of its own at both ends.
#ifndef BENCH_PEERS_CAPNP_RIVAL_H_
#define BENCH_PEERS_CAPNP_RIVAL_H_

#include "bench/forked.h"

namespace capbroker::bench {

// Small calls, one after the other.
ForkedPeers CapnpUnary();

// `count` connections to one server, one call at a time on each.
ForkedPeers CapnpChannels(int count);

}  // namespace capbroker::bench

#endif  // BENCH_PEERS_CAPNP_RIVAL_H_
