// The newer way to mount.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(syscall(SYS_fsopen, "tmpfs", 0)); }

const Registered attack({
    .aims_at = "namespaces and mounts",
    .run = Run,
    .refused = "dies of fsopen",
});

}  // namespace
}  // namespace capbroker::hostile
