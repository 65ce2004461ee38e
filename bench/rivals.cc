#include "bench/rivals.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "bench/forked.h"
#include "bench/library_rivals.h"
#include "bench/raw_peers.h"
#include "bench/stock_grpc.h"

namespace capbroker::bench {

namespace {

// `peers` live as long as the rival.
template <typename Peers>
Rival MakeRival(const std::string& name, int calls, double units, std::shared_ptr<Peers> peers) {
  return {.name = name,
          .calls = calls,
          .units = units,
          .processes = peers->processes(),
          .run = [peers, run = peers->run()](int count, std::vector<double>& times) {
            run(count, times);
          }};
}

}  // namespace

std::vector<Rival> MakeRivals(const Options& options) {
  std::vector<Rival> rivals;
  const auto add = [&](const std::string& kind, ForkedPeers (*make)(int)) {
    for (const int channels : {100, 1000}) {
      const std::string name = absl::StrCat(kind, channels);
      if (!options.Wants(name)) continue;
      rivals.push_back(
          MakeRival(name, 10 * channels, 1, std::make_shared<ForkedPeers>(make(channels))));
    }
  };
  add("raw_epoll_channels_", RawEpoll);
  add("grpc_channels_", GrpcChannels);
  if (options.peers) {
    for (const LibraryRival& rival : LibraryRivals()) {
      if (!options.Wants(rival.name)) continue;
      rivals.push_back(MakeRival(rival.name, rival.calls, rival.units,
                                 std::make_shared<LibraryPeers>(rival.name)));
    }
  }
  return rivals;
}

void AddRivals(const Options& options, const std::vector<Rival>& rivals, Variants& variants) {
  for (const Rival& rival : rivals) {
    variants.push_back({.name = rival.name,
                        .calls = options.Calls(rival.calls),
                        .servers = rival.processes,
                        .run = rival.run,
                        .units = rival.units});
  }
}

}  // namespace capbroker::bench
