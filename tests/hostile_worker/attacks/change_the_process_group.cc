// Joins or leaves a process group.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  return Result(setpgid(0, getpgid(getppid())) == 0 || setpgid(0, 0) == 0 ? 0 : -1);
}

const Registered attack({
    .aims_at = "terminals",
    .run = Run,
    .refused = "EPERM",
    .run_with_processes = "succeeded",
});

}  // namespace
}  // namespace capbroker::hostile
