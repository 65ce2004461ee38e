// A key where others look.
#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  return Result(syscall(SYS_add_key, "user", "hostile", "x", 1, KEY_SPEC_PROCESS_KEYRING));
}

const Registered attack({
    .aims_at = "keys",
    .run = Run,
    .refused = "dies of add_key",
});

}  // namespace
}  // namespace capbroker::hostile
