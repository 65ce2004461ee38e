// Other libraries for calls between processes: what needs packages that nothing else here needs.
//
//   capnp_unary, sdbus_unary   a small call: Cap'n Proto RPC, and D-Bus without a daemon by sd-bus
//   capnp_channels_100, capnp_channels_1000   as channels_100
//
// A program of their own, beside this one: what is loaded for them would be copied by each fork of
// a worker or a service that is measured here. Built with --define=bench_peers=yes, which bazelw
// says where an argument is --peers.
#ifndef BENCH_LIBRARY_RIVALS_H_
#define BENCH_LIBRARY_RIVALS_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "bench/measure.h"

namespace capbroker::bench {

struct LibraryRival {
  std::string name;
  int calls = 0;     // of a round
  double units = 0;  // as in Variant
};
const std::vector<LibraryRival>& LibraryRivals();

// A caller and a server of one of them. Made as those of forked.h are.
class LibraryPeers {
 public:
  // Ends the program where they are not built.
  explicit LibraryPeers(const std::string& rival);
  RunCalls run() const;
  const std::vector<pid_t>& processes() const { return processes_; }

 private:
  UniqueFd socket_;
  std::vector<pid_t> processes_;
};

}  // namespace capbroker::bench

#endif  // BENCH_LIBRARY_RIVALS_H_
