// Capabilities.
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[2] = {};
  (void)syscall(SYS_capget, &header, sets);
  return Result(syscall(SYS_capset, &header, sets));
}

const Registered attack({
    .aims_at = "who it is",
    .run = Run,
    .refused = "dies of capset",
});

}  // namespace
}  // namespace capbroker::hostile
