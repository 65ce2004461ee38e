// Memory by a number.
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  void* const memory = shmat(scene.shared_memory, nullptr, SHM_RDONLY);
  return memory == reinterpret_cast<void*>(-1) ? Result(-1) : kSucceeded;
}

const Registered attack({
    .aims_at = "System V objects",
    .run = Run,
    .refused = "ENOSYS",
});

}  // namespace
}  // namespace capbroker::hostile
