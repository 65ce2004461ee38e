// A descriptor that the header does not count.
#include <string>

#include "tests/hostile_worker/attack.h"
#include "tests/hostile_worker/lane.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  return Exchange(scene.lane, Packet(Request(kSay, 1, 0)), {0});
}

const Registered attack({
    .aims_at = "a service, by its lane",
    .run = Run,
    .refused = "EPERM or the channel ends",
    .no_control = "the service is its own defence",
    .on_lane = true,
});

}  // namespace
}  // namespace capbroker::hostile
