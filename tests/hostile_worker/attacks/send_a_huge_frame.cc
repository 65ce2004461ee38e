// A frame of the greatest length that can be stated, and a little of it.
#include <string>

#include "tests/hostile_worker/attack.h"
#include "tests/hostile_worker/lane.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  return Flood(OpenWire(scene.lane), 1, [](int) {
    std::string frame = Frame(0, 0, 1, std::string(20000, 'x'));
    frame[0] = frame[1] = frame[2] = '\xff';
    return Preface() + frame;
  });
}

const Registered attack({
    .aims_at = "a service, by its wire",
    .run = Run,
    .refused = "the wire ends",
    .no_control = "the service is its own defence",
    .on_lane = true,
});

}  // namespace
}  // namespace capbroker::hostile
