// The same for the whole namespace.
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  const std::string old_root = std::string(scene.directory) + "/old";
  if (mount(scene.directory, scene.directory, nullptr, MS_BIND, nullptr) != 0 ||
      mkdir(old_root.c_str(), 0700) != 0) {
    return Result(-1);
  }
  return Result(syscall(SYS_pivot_root, scene.directory, old_root.c_str()));
}

const Registered attack({
    .aims_at = "namespaces and mounts",
    .run = Run,
    .refused = "dies of mount",
});

}  // namespace
}  // namespace capbroker::hostile
