// A file system of its own.
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(mount("none", "/tmp", "tmpfs", 0, nullptr)); }

const Registered attack({
    .aims_at = "namespaces and mounts",
    .run = Run,
    .refused = "dies of mount",
});

}  // namespace
}  // namespace capbroker::hostile
