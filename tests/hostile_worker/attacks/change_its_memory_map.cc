// The addresses that /proc shows of it, its program among them.
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  unsigned size = 0;
  return Result(prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0));
}

const Registered attack({
    .aims_at = "who it is",
    .run = Run,
    .refused = "dies of prctl",
});

}  // namespace
}  // namespace capbroker::hostile
