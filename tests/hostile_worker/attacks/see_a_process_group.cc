// Which group a process is in, and so whether it is there.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) { return Result(getpgid(scene.bystander)); }

const Registered attack({
    .aims_at = "other processes",
    .run = Run,
    .refused = "EPERM",
    .run_with_processes = "ESRCH",
});

}  // namespace
}  // namespace capbroker::hostile
