// Flags of a later version.
#include <string>

#include "tests/hostile_worker/attack.h"
#include "tests/hostile_worker/lane.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  transport::PacketHeader header = Request(kSay, 1, 0);
  header.flags = 0xfe;
  return Exchange(scene.lane, Packet(header));
}

const Registered attack({
    .aims_at = "a service, by its lane",
    .run = Run,
    .refused = "the channel ends",
    .no_control = "the service is its own defence",
    .on_lane = true,
});

}  // namespace
}  // namespace capbroker::hostile
