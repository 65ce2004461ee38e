// The kind of futex in which bugs have been.
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  unsigned word = 0;
  return Result(syscall(SYS_futex, &word, FUTEX_LOCK_PI, 0, nullptr, nullptr, 0));
}

const Registered attack({
    .aims_at = "rarely used parts of the kernel",
    .run = Run,
    .refused = "ENOSYS",
});

}  // namespace
}  // namespace capbroker::hostile
