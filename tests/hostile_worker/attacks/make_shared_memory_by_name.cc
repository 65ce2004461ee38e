// /dev/shm, where others look.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  return Result(syscall(SYS_open, "/dev/shm", O_TMPFILE | O_RDWR, 0600));
}

const Registered attack({
    .aims_at = "devices",
    .run = Run,
    .refused = "EACCES",
    .executed = "EACCES or ENOENT",
    .supervised = "ENOTCAPABLE or EOPNOTSUPP",
});

}  // namespace
}  // namespace capbroker::hostile
