// A root that a directory descriptor from outside leads out of.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) { return Result(chroot(scene.directory)); }

const Registered attack({
    .aims_at = "namespaces and mounts",
    .run = Run,
    .refused = "dies of chroot",
});

}  // namespace
}  // namespace capbroker::hostile
