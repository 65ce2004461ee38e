// Keys of memory.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(syscall(SYS_pkey_alloc, 0, 0)); }

const Registered attack({
    .aims_at = "rarely used parts of the kernel",
    .run = Run,
    .refused = "ENOSYS",
    .no_control = "takes a CPU that has them",
});

}  // namespace
}  // namespace capbroker::hostile
