// Kills by number.
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  return Result(syscall(SYS_kill, scene.application, SIGKILL));
}

const Registered attack({
    .aims_at = "other processes",
    .run = Run,
    .refused = "EPERM",
    .run_with_processes = "ESRCH or EPERM",
});

}  // namespace
}  // namespace capbroker::hostile
