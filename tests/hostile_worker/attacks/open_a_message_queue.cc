// A POSIX message queue, which is a file to the kernel.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  return Result(syscall(SYS_mq_open, scene.message_queue + 1, O_RDWR, 0, nullptr));
}

const Registered attack({
    .aims_at = "POSIX message queues",
    .run = Run,
    .refused = "EACCES",
    .supervised = "ECAPMODE",
});

}  // namespace
}  // namespace capbroker::hostile
