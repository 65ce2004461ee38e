// Owner of a file by its name.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  return Result(syscall(SYS_chown, scene.file, getuid(), getgid()));
}

const Registered attack({
    .aims_at = "files by name",
    .run = Run,
    .refused = "EACCES",
    .supervised = "ENOTCAPABLE",
});

}  // namespace
}  // namespace capbroker::hostile
