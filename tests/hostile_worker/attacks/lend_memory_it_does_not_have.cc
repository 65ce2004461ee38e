// Says that the message is in memory that both ends keep, of which there is none.
#include <string>

#include "tests/hostile_worker/attack.h"
#include "tests/hostile_worker/lane.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  transport::PacketHeader header = Request(kSay, 1, 1 << 20);
  header.flags = transport::kFlagKept | transport::kFlagInKept;
  header.memory = 1;
  return Exchange(scene.lane, Packet(header));
}

const Registered attack({
    .aims_at = "a service, by its lane",
    .run = Run,
    .refused = "UNAVAILABLE",
    .no_control = "the service is its own defence",
    .on_lane = true,
});

}  // namespace
}  // namespace capbroker::hostile
