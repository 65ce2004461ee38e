// Ports of the hardware.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(syscall(SYS_ioperm, 0x80, 1, 1)); }

const Registered attack({
    .aims_at = "rarely used parts of the kernel",
    .run = Run,
    .refused = "dies of ioperm",
    .no_control = "this kernel may be built without it",
});

}  // namespace
}  // namespace capbroker::hostile
