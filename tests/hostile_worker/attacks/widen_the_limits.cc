// Narrows the channel to more than it has.
#include <string>
#include <utility>

#include "broker/testing/probe.pb.h"
#include "tests/hostile_worker/attack.h"
#include "tests/hostile_worker/lane.h"
#include "transport/channel.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  Channel channel{UniqueFd(scene.lane)};
  testing::v1::ProbeLimits wider, left;
  wider.add_words("a");
  wider.add_words("b");
  if (!channel.Narrow(wider).ok() || !channel.GetLimits(&left).ok()) return "no answer";
  return left.words_size() > 1 ? kSucceeded : "stays as it was";
}

const Registered attack({
    .aims_at = "the limits of a channel",
    .run = Run,
    .refused = "stays as it was",
    .no_control = "the service is its own defence",
    .on_lane = true,
});

}  // namespace
}  // namespace capbroker::hostile
