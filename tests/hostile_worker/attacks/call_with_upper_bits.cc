// Rubbish in the half of a register that the kernel does not read, to get past a comparison.
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  constexpr unsigned long kUpper = 0xdead00000000;
  const long child =
      syscall(SYS_clone, kUpper | CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, 0);
  if (child == 0) _exit(0);
  return Result(child);
}

const Registered attack({
    .aims_at = "the table itself",
    .run = Run,
    .refused = "dies of clone",
});

}  // namespace
}  // namespace capbroker::hostile
