// A field that no limit bounds.
#include <string>

#include "tests/hostile_worker/attack.h"
#include "tests/hostile_worker/lane.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  const std::string message = SayMessage("a") + "\x7a\x01x";
  return Exchange(scene.lane, Packet(Request(kSay, 1, message.size()), message));
}

const Registered attack({
    .aims_at = "the limits of a channel",
    .run = Run,
    .refused = "INVALID_ARGUMENT or PERMISSION_DENIED",
    .no_control = "the service is its own defence",
    .on_lane = true,
});

}  // namespace
}  // namespace capbroker::hostile
