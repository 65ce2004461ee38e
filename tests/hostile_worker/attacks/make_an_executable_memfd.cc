// A file in memory that could be executed.
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(syscall(SYS_memfd_create, "hostile", 0)); }

const Registered attack({
    .aims_at = "processes and code",
    .run = Run,
    .refused = "EPERM",
});

}  // namespace
}  // namespace capbroker::hostile
