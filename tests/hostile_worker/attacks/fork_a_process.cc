// A second process, which bounds of one process do not bound.
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  const long child = syscall(SYS_fork);
  if (child == 0) _exit(0);
  return Result(child);
}

const Registered attack({
    .aims_at = "processes and code",
    .run = Run,
    .refused = "EPERM",
    .run_with_processes = "succeeded",
});

}  // namespace
}  // namespace capbroker::hostile
