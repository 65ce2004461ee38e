// Takes away what hides the host.
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(umount2("/proc", MNT_DETACH)); }

const Registered attack({
    .aims_at = "namespaces and mounts",
    .run = Run,
    .refused = "dies of umount2",
});

}  // namespace
}  // namespace capbroker::hostile
