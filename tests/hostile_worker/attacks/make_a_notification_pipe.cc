// A pipe into which the kernel writes about keys and mounts.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  int ends[2];
  return Result(syscall(SYS_pipe2, ends, O_EXCL /* O_NOTIFICATION_PIPE */));
}

const Registered attack({
    .aims_at = "moving pages between files",
    .run = Run,
    .refused = "EINVAL",
    .no_control = "the kernel may be built without it",
});

}  // namespace
}  // namespace capbroker::hostile
