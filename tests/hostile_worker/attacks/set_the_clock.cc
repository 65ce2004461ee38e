// The machine's time.
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  timespec present;
  clock_gettime(CLOCK_REALTIME, &present);
  return Result(syscall(SYS_clock_settime, CLOCK_REALTIME, &present));
}

const Registered attack({
    .aims_at = "rarely used parts of the kernel",
    .run = Run,
    .refused = "EPERM",
});

}  // namespace
}  // namespace capbroker::hostile
