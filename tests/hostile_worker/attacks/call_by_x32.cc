// The x32 interface: the same architecture with another bit in the number.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(syscall(0x40000000 + SYS_getpid)); }

const Registered attack({
    .aims_at = "the table itself",
    .run = Run,
    .refused = "dies of call 1073741863 of architecture 0xc000003e",
    .no_control = "the kernel may be built without x32, where it is ENOSYS",
});

}  // namespace
}  // namespace capbroker::hostile
