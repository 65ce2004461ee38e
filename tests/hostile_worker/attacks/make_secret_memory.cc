// Memory that the kernel does not see, either.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(syscall(447 /* memfd_secret */, 0)); }

const Registered attack({
    .aims_at = "rarely used parts of the kernel",
    .run = Run,
    .refused = "ENOSYS",
    .no_control = "this kernel may be built without it",
});

}  // namespace
}  // namespace capbroker::hostile
