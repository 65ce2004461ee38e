// Catches and blocks every signal before a call that is deadly.
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  for (int number = 1; number < 65; ++number) std::signal(number, SIG_IGN);
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  return Result(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr));
}

const Registered attack({
    .aims_at = "the table itself",
    .run = Run,
    .refused = "dies of ptrace",
});

}  // namespace
}  // namespace capbroker::hostile
