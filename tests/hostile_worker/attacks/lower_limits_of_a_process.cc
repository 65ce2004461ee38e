// prlimit on a process of the same user.
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  const rlimit limit = {3, 3};
  return Result(syscall(SYS_prlimit64, scene.bystander, RLIMIT_NOFILE, &limit, nullptr));
}

const Registered attack({
    .aims_at = "other processes",
    .run = Run,
    .refused = "EPERM",
});

}  // namespace
}  // namespace capbroker::hostile
