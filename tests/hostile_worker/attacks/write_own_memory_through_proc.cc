// /proc/self/mem writes read-only memory, and so code.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(syscall(SYS_open, "/proc/self/mem", O_RDWR)); }

const Registered attack({
    .aims_at = "/proc",
    .run = Run,
    .refused = "EACCES",
    .executed = "EACCES or ENOENT",
    .supervised = "ENOTCAPABLE",
});

}  // namespace
}  // namespace capbroker::hostile
