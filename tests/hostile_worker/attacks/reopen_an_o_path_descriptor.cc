// A descriptor of a place becomes one of the file.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  const std::string path = "/proc/self/fd/" + std::to_string(TakeSmuggled().path);
  return Result(syscall(SYS_open, path.c_str(), O_RDWR));
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
