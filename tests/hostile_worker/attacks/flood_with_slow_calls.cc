// Calls that take long, at once and without end.
#include <string>

#include "tests/hostile_worker/attack.h"
#include "tests/hostile_worker/lane.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  const std::string message("\x08\xd0\x0f", 3);  // two seconds
  for (uint64_t call = 1; call <= 3000; ++call) {
    const std::string bytes = Packet(Request(kSleep, call, message.size()), message);
    if (SendRaw(scene.lane, bytes) != kSucceeded) return "the channel ends";
  }
  return NextAnswer(scene.lane);
}

const Registered attack({
    .aims_at = "a service, by its lane",
    .run = Run,
    .refused = "RESOURCE_EXHAUSTED or the channel ends",
    .no_control = "the service is its own defence",
    .on_lane = true,
});

}  // namespace
}  // namespace capbroker::hostile
