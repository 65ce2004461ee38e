// Answers that nobody reads fill the memory of whoever answers.
#include <string>

#include "tests/hostile_worker/attack.h"
#include "tests/hostile_worker/lane.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  const std::string message = SayMessage("a");
  for (uint64_t call = 1; call < 100000; ++call) {
    const std::string bytes = Packet(Request(kSay, call, message.size()), message);
    const std::string sent = SendRaw(scene.lane, bytes);
    if (sent == "EPIPE" || sent == "ECONNRESET") return "the channel ends";
    if (sent != kSucceeded) return sent;
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
