// A session and a process group of its own, out of reach of the terminal.
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  const long child = syscall(SYS_fork);
  if (child < 0) return Result(setsid());
  if (child == 0) _exit(setsid() < 0);
  int status = 1;
  wait4(static_cast<pid_t>(child), &status, 0, nullptr);
  return status == 0 ? kSucceeded : "EPERM";
}

const Registered attack({
    .aims_at = "terminals",
    .run = Run,
    .refused = "EPERM",
    .run_with_processes = "succeeded",
});

}  // namespace
}  // namespace capbroker::hostile
