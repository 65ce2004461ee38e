// TIOCLINUX does the same with what is selected.
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(ioctl(TakeSmuggled().terminal, TIOCLINUX, "\x03")); }

const Registered attack({
    .aims_at = "terminals",
    .run = Run,
    .refused = "ENOTTY",
    .no_control = "takes a console",
});

}  // namespace
}  // namespace capbroker::hostile
