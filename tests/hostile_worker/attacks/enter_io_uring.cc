// Operations on a ring that somebody has sent.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  return Result(syscall(426 /* io_uring_enter */, 0, 1, 0, 0, nullptr, 0));
}

const Registered attack({
    .aims_at = "rarely used parts of the kernel",
    .run = Run,
    .refused = "dies of io_uring_enter",
    .no_control = "takes a ring",
});

}  // namespace
}  // namespace capbroker::hostile
