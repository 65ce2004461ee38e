// Takes it away from others.
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  return Result(shmctl(scene.shared_memory, IPC_RMID, nullptr));
}

const Registered attack({
    .aims_at = "System V objects",
    .run = Run,
    .refused = "ENOSYS",
});

}  // namespace
}  // namespace capbroker::hostile
