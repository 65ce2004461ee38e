// Shows the host's directory elsewhere.
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  return Result(mount(scene.directory, "/mnt", nullptr, MS_BIND, nullptr));
}

const Registered attack({
    .aims_at = "namespaces and mounts",
    .run = Run,
    .refused = "dies of mount",
});

}  // namespace
}  // namespace capbroker::hostile
