// Memory that outlives it.
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600)); }

const Registered attack({
    .aims_at = "System V objects",
    .run = Run,
    .refused = "ENOSYS",
});

}  // namespace
}  // namespace capbroker::hostile
