// CONTINUATION frames that never say that they are the last.
#include <string>

#include "tests/hostile_worker/attack.h"
#include "tests/hostile_worker/lane.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  return Flood(OpenWire(scene.lane), 20000, [](int i) {
    if (i == 0) return Preface() + Frame(1, 0, 1, "");
    return Frame(9, 0, 1, std::string("\x00\x01y\x01z", 5));
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
