// More than a packet may have.
#include <string>

#include "tests/hostile_worker/attack.h"
#include "tests/hostile_worker/lane.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  return Exchange(scene.lane, std::string(transport::kMaxPacketSize + 100, 'x'));
}

const Registered attack({
    .aims_at = "a service, by its lane",
    .run = Run,
    .refused = "the channel ends",
    .no_control = "the service is its own defence",
    .on_lane = true,
});

}  // namespace
}  // namespace capbroker::hostile
