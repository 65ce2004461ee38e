// Many violations at once: the one that is told is of the same name.
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([] { ptrace(PTRACE_TRACEME, 0, nullptr, nullptr); });
  }
  for (std::thread& thread : threads) thread.join();
  return kSucceeded;
}

const Registered attack({
    .aims_at = "the table itself",
    .run = Run,
    .refused = "dies of ptrace",
    .no_control = "one thread is enough: be_traced",
});

}  // namespace
}  // namespace capbroker::hostile
