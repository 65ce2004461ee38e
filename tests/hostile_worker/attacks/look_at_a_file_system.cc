// How full a file system is, and of which kind.
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  struct statfs status;
  return Result(syscall(SYS_statfs, scene.directory, &status));
}

const Registered attack({
    .aims_at = "files by name",
    .run = Run,
    .refused = "EACCES",
    .supervised = "ECAPMODE",
});

}  // namespace
}  // namespace capbroker::hostile
