// The same with a bit in the half of the argument that the kernel does not read.
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  return Result(syscall(SYS_ioctl, TakeSmuggled().terminal, 0x100000000UL | TIOCSTI, "x"));
}

const Registered attack({
    .aims_at = "terminals",
    .run = Run,
    .refused = "ENOTTY",
    .no_control = "the kernel may have it switched off",
});

}  // namespace
}  // namespace capbroker::hostile
