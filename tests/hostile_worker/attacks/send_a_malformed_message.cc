// Bytes that are no message.
#include <string>

#include "tests/hostile_worker/attack.h"
#include "tests/hostile_worker/lane.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  const std::string garbage(12, '\xff');
  return Exchange(scene.lane, Packet(Request(kSay, 1, garbage.size()), garbage));
}

const Registered attack({
    .aims_at = "a service, by its lane",
    .run = Run,
    .refused = "INVALID_ARGUMENT",
    .no_control = "the service is its own defence",
    .on_lane = true,
});

}  // namespace
}  // namespace capbroker::hostile
