// Descriptors without end: its bound is 64.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  for (int i = 0; i < 500; ++i) {
    if (dup(0) < 0) return Result(-1);
  }
  return kSucceeded;
}

const Registered attack({
    .aims_at = "floods",
    .run = Run,
    .refused = "EMFILE",
});

}  // namespace
}  // namespace capbroker::hostile
