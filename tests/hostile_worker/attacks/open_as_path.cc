// A descriptor that stands for a place, without any right to what is there.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  return Result(syscall(SYS_openat, AT_FDCWD, scene.file, O_PATH));
}

const Registered attack({
    .aims_at = "files by name",
    .run = Run,
    .refused = "EACCES",
    .executed = "EACCES or ENOENT",
    .supervised = "ENOTCAPABLE",
});

}  // namespace
}  // namespace capbroker::hostile
