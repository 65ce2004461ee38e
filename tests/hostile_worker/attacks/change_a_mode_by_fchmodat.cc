// The same by the newer call.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  return Result(syscall(SYS_fchmodat, AT_FDCWD, scene.file, 0777));
}

const Registered attack({
    .aims_at = "files by name",
    .run = Run,
    .refused = "EPERM",
    .supervised = "ENOTCAPABLE",
});

}  // namespace
}  // namespace capbroker::hostile
