// kcmp tells about pointers of the kernel.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  return Result(syscall(SYS_kcmp, scene.bystander, getppid(), 0, 0, 0));
}

const Registered attack({
    .aims_at = "other processes",
    .run = Run,
    .refused = "dies of kcmp",
});

}  // namespace
}  // namespace capbroker::hostile
