// Code for the kernel.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(syscall(SYS_init_module, "", 0, "")); }

const Registered attack({
    .aims_at = "rarely used parts of the kernel",
    .run = Run,
    .refused = "dies of init_module",
    .no_control = "would load a module",
});

}  // namespace
}  // namespace capbroker::hostile
