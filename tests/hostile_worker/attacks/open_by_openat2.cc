// The call whose flags are in memory, where no filter sees them.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  open_how how = {};
  how.flags = O_RDONLY;
  return Result(syscall(SYS_openat2, AT_FDCWD, scene.file, &how, sizeof how));
}

const Registered attack({
    .aims_at = "files by name",
    .run = Run,
    .refused = "ENOSYS",
    .supervised = "ENOTCAPABLE",
});

}  // namespace
}  // namespace capbroker::hostile
