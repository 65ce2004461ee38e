// A name for what one only holds a descriptor of.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  const std::string path = std::string(scene.directory) + "/linked";
  return Result(syscall(SYS_linkat, 0, "", AT_FDCWD, path.c_str(), AT_EMPTY_PATH));
}

const Registered attack({
    .aims_at = "files by name",
    .run = Run,
    .refused = "EACCES",
    .supervised = "ECAPMODE",
});

}  // namespace
}  // namespace capbroker::hostile
