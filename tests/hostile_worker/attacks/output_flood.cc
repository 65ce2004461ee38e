// Output without end: whoever reads it reads as much as it likes.
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  std::signal(SIGPIPE, SIG_IGN);
  char block[4096] = {};
  while (write(1, block, sizeof block) > 0) {
  }
  return Result(-1);
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
