// AT_EMPTY_PATH does not keep the kernel from following a path that is not empty.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  struct stat status;
  return Result(syscall(SYS_newfstatat, 0, scene.file, &status, AT_EMPTY_PATH));
}

const Registered attack({
    .aims_at = "files by name",
    .run = Run,
    .refused = "ENOENT or EACCES",
    .executed = "ENOENT or EACCES or succeeded",
    .supervised = "ENOENT or ENOTCAPABLE",
});

}  // namespace
}  // namespace capbroker::hostile
