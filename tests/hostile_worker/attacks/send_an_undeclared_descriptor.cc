// A descriptor where no method takes one: the kernel refuses, or the service does.
#include <string>

#include "tests/hostile_worker/attack.h"
#include "tests/hostile_worker/lane.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  transport::PacketHeader header = Request(kSay, 1, 0);
  header.descriptor_count = 1;
  return Exchange(scene.lane, Packet(header), {0});
}

const Registered attack({
    .aims_at = "a service, by its lane",
    .run = Run,
    .refused = "EPERM or the channel ends or INVALID_ARGUMENT",
    .no_control = "the service is its own defence",
    .on_lane = true,
});

}  // namespace
}  // namespace capbroker::hostile
