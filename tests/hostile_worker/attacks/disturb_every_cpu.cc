// A barrier on all CPUs, again and again.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(syscall(SYS_membarrier, 1 /* GLOBAL */, 0)); }

const Registered attack({
    .aims_at = "rarely used parts of the kernel",
    .run = Run,
    .refused = "ENOSYS",
});

}  // namespace
}  // namespace capbroker::hostile
