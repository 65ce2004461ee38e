// Recursion without end.
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  const auto recurse = [](const auto& self, int depth) -> int {
    volatile char frame[16 << 10];
    frame[0] = static_cast<char>(depth);
    if (depth == 0) return frame[0];
    return self(self, depth - 1) + frame[0];
  };
  recurse(recurse, 10000);
  return kSucceeded;
}

const Registered attack({
    .aims_at = "floods",
    .run = Run,
    .refused = "killed by SIGSEGV",
    .no_control = "the stack of every process has a bound",
});

}  // namespace
}  // namespace capbroker::hostile
