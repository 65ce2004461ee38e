// A method by which the broker controls a service.
#include <string>

#include "tests/hostile_worker/attack.h"
#include "tests/hostile_worker/lane.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  return Exchange(scene.lane, Packet(Request("/capbroker.v1.ServiceControl/Revoke", 1, 0)));
}

const Registered attack({
    .aims_at = "the broker",
    .run = Run,
    .refused = "UNIMPLEMENTED",
    .no_control = "the service is its own defence",
    .on_lane = true,
});

}  // namespace
}  // namespace capbroker::hostile
