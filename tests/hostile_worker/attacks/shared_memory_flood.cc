// Shared memory, which is not counted as its own, and which costs address space: the bound is a
// few GiB.
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  constexpr size_t kPart = 1 << 30;
  for (int i = 0; i < 64; ++i) {
    void* const part = mmap(nullptr, kPart, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (part == MAP_FAILED) return Result(-1);
  }
  return kSucceeded;
}

const Registered attack({
    .aims_at = "floods",
    .run = Run,
    .refused = "ENOMEM",
});

}  // namespace
}  // namespace capbroker::hostile
