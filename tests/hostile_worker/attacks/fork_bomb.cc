// Processes without end, by every call.
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  for (int i = 0; i < 100; ++i) {
    const long child = syscall(i % 2 == 0 ? SYS_fork : SYS_vfork);
    if (child == 0) _exit(0);
    if (child < 0) return Result(child);
  }
  return kSucceeded;
}

const Registered attack({
    .aims_at = "floods",
    .run = Run,
    .refused = "EPERM",
    .run_with_processes = "EAGAIN",
});

}  // namespace
}  // namespace capbroker::hostile
