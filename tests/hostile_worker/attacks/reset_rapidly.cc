// Calls that are begun and reset at once: HTTP/2 rapid reset.
#include <string>

#include "tests/hostile_worker/attack.h"
#include "tests/hostile_worker/lane.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  return Flood(OpenWire(scene.lane), 20000, [](int i) {
    const uint32_t stream = static_cast<uint32_t>(2 * i + 1);
    return (i == 0 ? Preface() : "") + BeginCall(stream) +
           Frame(3, 0, stream, std::string("\0\0\0\x08", 4));
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
