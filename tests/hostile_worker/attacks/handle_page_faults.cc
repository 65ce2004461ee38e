// userfaultfd stops the kernel in the middle of a copy.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  return Result(syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */));
}

const Registered attack({
    .aims_at = "rarely used parts of the kernel",
    .run = Run,
    .refused = "dies of userfaultfd",
});

}  // namespace
}  // namespace capbroker::hostile
