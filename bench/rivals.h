// Callers and servers that have nothing of the broker, in processes of their own. To be made before
// the broker.
//
//   raw_epoll_channels_100, _1000   as channels_100: the bytes, and nothing else
//   grpc_channels_100, _1000        the same with stock gRPC
//
// and those of library_rivals.h.
#ifndef BENCH_RIVALS_H_
#define BENCH_RIVALS_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "bench/measure.h"
#include "bench/options.h"
#include "bench/scene.h"

namespace capbroker::bench {

struct Rival {
  std::string name;
  int calls = 0;     // of a round
  double units = 0;  // as in Variant
  std::vector<pid_t> processes;
  RunCalls run;
};

std::vector<Rival> MakeRivals(const Options& options);

void AddRivals(const Options& options, const std::vector<Rival>& rivals, Variants& variants);

}  // namespace capbroker::bench

#endif  // BENCH_RIVALS_H_
