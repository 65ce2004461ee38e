// Channels without end: each costs the service a descriptor.
#include <memory>
#include <string>
#include <vector>

#include "tests/hostile_worker/attack.h"
#include "tests/hostile_worker/lane.h"
#include "transport/channel.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  Channel channel{UniqueFd(scene.lane)};
  std::vector<std::shared_ptr<Channel>> clones;
  for (int i = 0; i < 1000; ++i) {
    absl::StatusOr<std::shared_ptr<Channel>> clone = channel.Clone();
    if (!clone.ok()) return absl::StatusCodeToString(clone.status().code());
    clones.push_back(*std::move(clone));
  }
  return kSucceeded;
}

const Registered attack({
    .aims_at = "the budget of a channel",
    .run = Run,
    .refused = "RESOURCE_EXHAUSTED or UNAVAILABLE",
    .no_control = "the service is its own defence",
    .on_lane = true,
});

}  // namespace
}  // namespace capbroker::hostile
