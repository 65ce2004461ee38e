// Quotas of a file system.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(syscall(SYS_quotactl, 0, nullptr, 0, nullptr)); }

const Registered attack({
    .aims_at = "rarely used parts of the kernel",
    .run = Run,
    .refused = "dies of quotactl",
    .no_control = "takes a file system with quotas",
});

}  // namespace
}  // namespace capbroker::hostile
