// An extended attribute of a file by its name.
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  return Result(syscall(SYS_setxattr, scene.file, "user.x", "x", 1, 0));
}

const Registered attack({
    .aims_at = "files by name",
    .run = Run,
    .refused = "EACCES",
    .supervised = "EOPNOTSUPP",
});

}  // namespace
}  // namespace capbroker::hostile
