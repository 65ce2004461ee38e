// Chooses the CPU of another process.
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  return Result(syscall(SYS_sched_setaffinity, scene.bystander, sizeof one, &one));
}

const Registered attack({
    .aims_at = "other processes",
    .run = Run,
    .refused = "EPERM",
});

}  // namespace
}  // namespace capbroker::hostile
