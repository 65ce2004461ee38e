#include "bench/rivals.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bench/library_rivals.h"
#include "bench/raw_peers.h"
#include "bench/stock_grpc.h"

namespace capbroker::bench {

std::vector<Rival> MakeRivals(const Options& options) {
  std::vector<Rival> rivals;
  const auto add = [&](const std::string& kind, ForkedPeers (*make)(int)) {
    for (const int channels : {100, 1000}) {
      const std::string name = absl::StrCat(kind, channels);
      if (!options.Wants(name)) continue;
      rivals.push_back({.name = name,
                        .calls = 10 * channels,
                        .units = 1,
                        .peers = std::make_unique<ForkedPeers>(make(channels))});
    }
  };
  add("raw_epoll_channels_", RawEpoll);
  add("grpc_channels_", GrpcChannels);
  if (options.peers) {
    for (LibraryRival& rival : LibraryRivals()) {
      if (!options.Wants(rival.name)) continue;
      rivals.push_back({.name = rival.name,
                        .calls = rival.calls,
                        .units = rival.units,
                        .peers = std::make_unique<ForkedPeers>(rival.make())});
    }
  }
  return rivals;
}

void AddRivals(const Options& options, std::vector<Rival>& rivals, Variants& variants) {
  for (Rival& rival : rivals) {
    variants.push_back({.name = rival.name,
                        .calls = options.Calls(rival.calls),
                        .servers = rival.peers->processes(),
                        .run = rival.peers->run(),
                        .units = rival.units});
  }
}

}  // namespace capbroker::bench
