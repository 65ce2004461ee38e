// Seals stop others from writing.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  const int memory = memfd_create("hostile", MFD_ALLOW_SEALING);
  if (memory < 0) return Result(memory);
  return Result(fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE));
}

const Registered attack({
    .aims_at = "rights of descriptors",
    .run = Run,
    .refused = "EPERM",
});

}  // namespace
}  // namespace capbroker::hostile
