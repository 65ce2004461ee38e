// A FIFO, on which others would hang.
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  const std::string path = std::string(scene.directory) + "/fifo";
  return Result(syscall(SYS_mknod, path.c_str(), S_IFIFO | 0600, 0));
}

const Registered attack({
    .aims_at = "files by name",
    .run = Run,
    .refused = "EACCES",
    .supervised = "ECAPMODE",
});

}  // namespace
}  // namespace capbroker::hostile
