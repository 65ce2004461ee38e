// The same, and does not want to hear of it.
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  for (int number = 1; number < 65; ++number) std::signal(number, SIG_IGN);
  volatile unsigned turns = 0;
  while (true) turns = turns + 1;
  return kSucceeded;
}

const Registered attack({
    .aims_at = "floods",
    .run = Run,
    .refused = "ended by wall_time",
    .no_control = "an unconfined one is not ended",
    .wall_milliseconds = 300,
});

}  // namespace
}  // namespace capbroker::hostile
