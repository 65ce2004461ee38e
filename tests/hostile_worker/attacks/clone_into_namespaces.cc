// The same together with a process.
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  const long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, 0);
  if (child == 0) _exit(0);
  return Result(child);
}

const Registered attack({
    .aims_at = "namespaces and mounts",
    .run = Run,
    .refused = "dies of clone",
});

}  // namespace
}  // namespace capbroker::hostile
