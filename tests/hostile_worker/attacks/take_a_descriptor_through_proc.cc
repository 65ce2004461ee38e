// /proc/<pid>/fd opens what another process has open.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  const std::string path = "/proc/" + std::to_string(scene.application) + "/fd/0";
  return Result(syscall(SYS_open, path.c_str(), O_RDONLY));
}

const Registered attack({
    .aims_at = "/proc",
    .run = Run,
    .refused = "EACCES",
    .executed = "EACCES or ENOENT",
    .supervised = "ENOTCAPABLE",
});

}  // namespace
}  // namespace capbroker::hostile
