// Packets with some bytes changed.
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/hostile_worker/attack.h"
#include "tests/hostile_worker/lane.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  std::srand(1);
  for (int i = 0; i < 2000; ++i) {
    const std::string message = SayMessage("a");
    std::string bytes = Packet(Request(kSay, static_cast<uint64_t>(i), message.size()), message);
    for (int n = 0; n < 4; ++n) {
      bytes[static_cast<size_t>(std::rand()) % bytes.size()] = static_cast<char>(std::rand());
    }
    if (SendRaw(scene.lane, bytes) != kSucceeded) return "the channel ends";
  }
  return kSucceeded;
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
