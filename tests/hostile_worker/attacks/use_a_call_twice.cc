// Two calls of one number.
#include <string>

#include "tests/hostile_worker/attack.h"
#include "tests/hostile_worker/lane.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  const std::string message("\x08\xac\x02", 3);  // 300 milliseconds
  const std::string bytes = Packet(Request(kSleep, 7, message.size()), message);
  SendRaw(scene.lane, bytes);
  return Exchange(scene.lane, bytes);
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
