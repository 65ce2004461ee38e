// A header of 8 MiB, in many frames.
#include <string>

#include "tests/hostile_worker/attack.h"
#include "tests/hostile_worker/lane.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  return Flood(OpenWire(scene.lane), 100000, [](int i) {
    // A literal whose length, 8 MiB, stands before it.
    if (i == 0)
      return Preface() + Frame(1, 0, 1, std::string("\x00\x01x\x7f\x81\xff\xff\xff\x07", 9));
    return Frame(9, 0, 1, std::string(16384, 'x'));
  });
}

const Registered attack({
    .aims_at = "a service, by its wire",
    .run = Run,
    .refused = "the wire ends or goes on or is held",
    .no_control = "the service is its own defence",
    .on_lane = true,
});

}  // namespace
}  // namespace capbroker::hostile
