// A signal that says to come from somebody else.
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  siginfo_t info = {};
  info.si_signo = SIGUSR1;
  info.si_code = SI_QUEUE;
  return Result(syscall(SYS_rt_sigqueueinfo, scene.bystander, SIGUSR1, &info));
}

const Registered attack({
    .aims_at = "other processes",
    .run = Run,
    .refused = "EPERM",
    .run_with_processes = "ESRCH or EPERM",
});

}  // namespace
}  // namespace capbroker::hostile
