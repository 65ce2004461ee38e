// A large header that is repeated by one byte each.
#include <string>

#include "tests/hostile_worker/attack.h"
#include "tests/hostile_worker/lane.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  return Flood(OpenWire(scene.lane), 200, [](int i) {
    if (i == 0) {
      return Preface() +
             Frame(1, 0, 1, std::string("\x40\x01x\x7f\xa1\x1e", 6) + std::string(4000, 'y'));
    }
    return Frame(9, 0, 1, std::string(16000, '\xbe'));
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
