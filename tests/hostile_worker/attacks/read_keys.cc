// The keys of its session.
#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  return Result(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 1));
}

const Registered attack({
    .aims_at = "keys",
    .run = Run,
    .refused = "dies of keyctl",
});

}  // namespace
}  // namespace capbroker::hostile
