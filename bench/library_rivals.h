// Other libraries for calls between processes: what needs packages that nothing else here needs.
//
//   capnp_unary, sdbus_unary   a small call: Cap'n Proto RPC, and D-Bus without a daemon by sd-bus
//   capnp_channels_100, capnp_channels_1000   as channels_100
//
// Built in with --define=bench_peers=yes, which bazelw says where an argument is --peers.
#ifndef BENCH_LIBRARY_RIVALS_H_
#define BENCH_LIBRARY_RIVALS_H_

#include <functional>
#include <string>
#include <vector>

#include "bench/forked.h"

namespace capbroker::bench {

struct LibraryRival {
  std::string name;
  int calls = 0;
  double units = 0;
  std::function<ForkedPeers()> make;
};

// Ends the program where they are not built in.
std::vector<LibraryRival> LibraryRivals();

}  // namespace capbroker::bench

#endif  // BENCH_LIBRARY_RIVALS_H_
