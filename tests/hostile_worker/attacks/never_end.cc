// Sleeps for ever.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  while (true) pause();
  return kSucceeded;
}

const Registered attack({
    .aims_at = "floods",
    .run = Run,
    .refused = "ended by wall_time",
    .no_control = "an unconfined one is not ended",
    .wall_milliseconds = 200,
});

}  // namespace
}  // namespace capbroker::hostile
