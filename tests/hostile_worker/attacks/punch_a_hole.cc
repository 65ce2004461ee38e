// The same by fallocate.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  return Result(
      syscall(SYS_fallocate, TakeSmuggled().append, 3 /* PUNCH_HOLE | KEEP_SIZE */, 0, 3));
}

const Registered attack({
    .aims_at = "rights of descriptors",
    .run = Run,
    .refused = "EPERM",
});

}  // namespace
}  // namespace capbroker::hostile
