// Bytes that are no metadata.
#include <string>

#include "tests/hostile_worker/attack.h"
#include "tests/hostile_worker/lane.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  transport::PacketHeader header = Request(kSay, 1, 0);
  header.metadata_size = 4;
  return Exchange(scene.lane, Packet(header, "\xff\xff\xff\xff"));
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
