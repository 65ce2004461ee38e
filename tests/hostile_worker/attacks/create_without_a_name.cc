// A file without a name, which a link could give one later.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  return Result(syscall(SYS_openat, AT_FDCWD, scene.directory, O_TMPFILE | O_RDWR, 0600));
}

const Registered attack({
    .aims_at = "files by name",
    .run = Run,
    .refused = "EACCES",
    .executed = "EACCES or ENOENT",
    .supervised = "ENOTCAPABLE or EOPNOTSUPP",
});

}  // namespace
}  // namespace capbroker::hostile
