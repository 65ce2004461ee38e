// CPU time without end.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  volatile unsigned turns = 0;
  while (true) turns = turns + 1;
  return kSucceeded;
}

const Registered attack({
    .aims_at = "floods",
    .run = Run,
    .refused = "ended by cpu_time",
    .no_control = "an unconfined one is not ended",
    .cpu_seconds = 1,
});

}  // namespace
}  // namespace capbroker::hostile
