// Segments of its own: modify_ldt.
#include <asm/ldt.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  user_desc segment;
  std::memset(&segment, 0, sizeof segment);
  segment.limit = 1;
  return Result(syscall(SYS_modify_ldt, 1, &segment, sizeof segment));
}

const Registered attack({
    .aims_at = "rarely used parts of the kernel",
    .run = Run,
    .refused = "dies of modify_ldt",
});

}  // namespace
}  // namespace capbroker::hostile
