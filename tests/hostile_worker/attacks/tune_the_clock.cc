// The speed of the machine's time.
#include <sys/syscall.h>
#include <sys/timex.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  timex change = {};
  change.modes = ADJ_OFFSET_SINGLESHOT;
  return Result(syscall(SYS_adjtimex, &change));
}

const Registered attack({
    .aims_at = "rarely used parts of the kernel",
    .run = Run,
    .refused = "EPERM",
});

}  // namespace
}  // namespace capbroker::hostile
