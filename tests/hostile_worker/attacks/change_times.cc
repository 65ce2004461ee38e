// Times of a file by its name.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  return Result(syscall(SYS_utimensat, AT_FDCWD, scene.file, nullptr, 0));
}

const Registered attack({
    .aims_at = "files by name",
    .run = Run,
    .refused = "EPERM",
    .supervised = "ENOTCAPABLE",
});

}  // namespace
}  // namespace capbroker::hostile
