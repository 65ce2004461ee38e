// A domain of its own: harmless by itself, and code of the kernel.
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  const uint64_t handled = 1;
  return Result(syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0));
}

const Registered attack({
    .aims_at = "the table itself",
    .run = Run,
    .refused = "ENOSYS",
});

}  // namespace
}  // namespace capbroker::hostile
