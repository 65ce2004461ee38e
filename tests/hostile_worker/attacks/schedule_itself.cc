// A higher class of scheduling.
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  sched_param parameter = {};
  parameter.sched_priority = 1;
  return Result(syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &parameter));
}

const Registered attack({
    .aims_at = "rarely used parts of the kernel",
    .run = Run,
    .refused = "EPERM",
});

}  // namespace
}  // namespace capbroker::hostile
