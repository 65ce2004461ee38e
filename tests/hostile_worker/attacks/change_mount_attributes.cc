// Makes a mount writable.
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  mount_attr change = {};
  change.attr_clr = MOUNT_ATTR_RDONLY;
  return Result(syscall(SYS_mount_setattr, AT_FDCWD, "/proc", 0, &change, sizeof change));
}

const Registered attack({
    .aims_at = "namespaces and mounts",
    .run = Run,
    .refused = "dies of mount_setattr",
});

}  // namespace
}  // namespace capbroker::hostile
