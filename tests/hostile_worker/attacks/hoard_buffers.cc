// The same again and again with what is allowed.
#include <string>

#include "tests/hostile_worker/attack.h"
#include "tests/hostile_worker/lane.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  for (uint64_t call = 1; call <= 200; ++call) {
    transport::PacketHeader header = Request(kSay, call, 1 << 20);
    header.type = transport::PacketType::kBufferRequest;
    header.method = 0;
    const std::string answer = Exchange(scene.lane, Packet(header));
    if (answer != "OK") return answer;
  }
  return kSucceeded;
}

const Registered attack({
    .aims_at = "a service, by its lane",
    .run = Run,
    .refused = "RESOURCE_EXHAUSTED",
    .no_control = "the service is its own defence",
    .on_lane = true,
});

}  // namespace
}  // namespace capbroker::hostile
