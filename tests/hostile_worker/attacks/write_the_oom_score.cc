// Lets another process die when memory is short.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  return Result(syscall(SYS_open, "/proc/self/oom_score_adj", O_WRONLY));
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
