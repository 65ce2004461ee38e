// A device, of which drivers have the bugs.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(syscall(SYS_open, "/dev/ptmx", O_RDWR)); }

const Registered attack({
    .aims_at = "devices",
    .run = Run,
    .refused = "EACCES",
    .executed = "EACCES or ENOENT",
    .supervised = "ENOTCAPABLE",
});

}  // namespace
}  // namespace capbroker::hostile
