// Semaphores by a number.
#include <sys/sem.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  sembuf up = {0, 1, IPC_NOWAIT};
  return Result(semop(scene.semaphore, &up, 1));
}

const Registered attack({
    .aims_at = "System V objects",
    .run = Run,
    .refused = "ENOSYS",
});

}  // namespace
}  // namespace capbroker::hostile
