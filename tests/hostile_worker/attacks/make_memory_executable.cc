// The same in two steps.
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  void* const page =
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return Result(mprotect(page, 4096, PROT_READ | PROT_EXEC));
}

const Registered attack({
    .aims_at = "processes and code",
    .run = Run,
    .refused = "EACCES",
});

}  // namespace
}  // namespace capbroker::hostile
