// Memory of others in a file of its own.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) { return Result(syscall(SYS_swapon, scene.file, 0)); }

const Registered attack({
    .aims_at = "rarely used parts of the kernel",
    .run = Run,
    .refused = "dies of swapon",
    .no_control = "would change how the machine swaps",
});

}  // namespace
}  // namespace capbroker::hostile
