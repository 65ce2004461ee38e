// The call that also tells when a file was made.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  struct statx status;
  return Result(syscall(SYS_statx, AT_FDCWD, scene.file, 0, STATX_ALL, &status));
}

const Registered attack({
    .aims_at = "files by name",
    .run = Run,
    .refused = "ENOSYS",
    .supervised = "ENOTCAPABLE",
});

}  // namespace
}  // namespace capbroker::hostile
