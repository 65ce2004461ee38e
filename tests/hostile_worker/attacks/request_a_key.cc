// A key, for which the kernel starts a program of root's.
#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  if (syscall(SYS_add_key, "user", "hostile", "x", 1, KEY_SPEC_PROCESS_KEYRING) < 0)
    return Result(-1);
  return Result(syscall(SYS_request_key, "user", "hostile", nullptr, KEY_SPEC_PROCESS_KEYRING));
}

const Registered attack({
    .aims_at = "keys",
    .run = Run,
    .refused = "dies of add_key",
});

}  // namespace
}  // namespace capbroker::hostile
