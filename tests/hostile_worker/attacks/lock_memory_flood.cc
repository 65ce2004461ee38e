// Memory that cannot be swapped, without end.
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  constexpr size_t kPart = 4 << 20;
  void* const part =
      mmap(nullptr, kPart, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return Result(mlock(part, kPart));
}

const Registered attack({
    .aims_at = "floods",
    .run = Run,
    .refused = "EPERM",
});

}  // namespace
}  // namespace capbroker::hostile
