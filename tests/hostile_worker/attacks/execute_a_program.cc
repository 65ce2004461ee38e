// Another program.
#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  const long child = syscall(SYS_fork);
  if (child < 0 && errno == EPERM) {
    return Result(syscall(SYS_execve, scene.program, nullptr, nullptr));
  }
  if (child == 0) _exit(static_cast<int>(syscall(SYS_execve, scene.program, nullptr, nullptr)));
  int status = 1;
  wait4(static_cast<pid_t>(child), &status, 0, nullptr);
  return status == 0 ? kSucceeded : "did not run";
}

const Registered attack({
    .aims_at = "processes and code",
    .run = Run,
    .refused = "EACCES",
    .supervised = "ECAPMODE",
    .run_with_processes = "did not run",
});

}  // namespace
}  // namespace capbroker::hostile
