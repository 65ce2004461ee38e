// The older interface of operations that no filter sees.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  unsigned long context = 0;
  return Result(syscall(SYS_io_setup, 1, &context));
}

const Registered attack({
    .aims_at = "rarely used parts of the kernel",
    .run = Run,
    .refused = "ENOSYS",
});

}  // namespace
}  // namespace capbroker::hostile
