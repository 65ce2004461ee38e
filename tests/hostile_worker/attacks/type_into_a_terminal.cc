// TIOCSTI puts text where a shell reads it when the worker is gone.
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(ioctl(TakeSmuggled().terminal, TIOCSTI, "x")); }

const Registered attack({
    .aims_at = "terminals",
    .run = Run,
    .refused = "ENOTTY",
    .no_control = "the kernel may have it switched off",
});

}  // namespace
}  // namespace capbroker::hostile
