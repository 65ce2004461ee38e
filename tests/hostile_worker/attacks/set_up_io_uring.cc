// Rings of operations that no filter sees.
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  char parameters[120] = {};
  return Result(syscall(425 /* io_uring_setup */, 1, parameters));
}

const Registered attack({
    .aims_at = "rarely used parts of the kernel",
    .run = Run,
    .refused = "dies of io_uring_setup",
});

}  // namespace
}  // namespace capbroker::hostile
