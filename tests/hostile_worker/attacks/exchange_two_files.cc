// Exchanges two names at once.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  const std::string log = std::string(scene.directory) + "/log";
  constexpr unsigned kExchange = 2;
  return Result(syscall(SYS_renameat2, AT_FDCWD, scene.file, AT_FDCWD, log.c_str(), kExchange));
}

const Registered attack({
    .aims_at = "files by name",
    .run = Run,
    .refused = "EACCES",
    .supervised = "ENOTCAPABLE",
});

}  // namespace
}  // namespace capbroker::hostile
