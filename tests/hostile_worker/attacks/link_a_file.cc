// Another name for a file.
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  const std::string path = std::string(scene.directory) + "/linked";
  return Result(syscall(SYS_link, scene.file, path.c_str()));
}

const Registered attack({
    .aims_at = "files by name",
    .run = Run,
    .refused = "EACCES",
    .supervised = "ECAPMODE",
});

}  // namespace
}  // namespace capbroker::hostile
