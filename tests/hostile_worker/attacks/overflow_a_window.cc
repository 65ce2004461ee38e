// More credit than there can be.
#include <string>

#include "tests/hostile_worker/attack.h"
#include "tests/hostile_worker/lane.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  return Flood(OpenWire(scene.lane), 3, [](int i) {
    return (i == 0 ? Preface() : "") + Frame(8, 0, 0, "\x7f\xff\xff\xff");
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
