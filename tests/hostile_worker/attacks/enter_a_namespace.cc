// Enters a mount namespace whose descriptor somebody has sent.
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(setns(TakeSmuggled().name_space, CLONE_NEWNS)); }

const Registered attack({
    .aims_at = "namespaces and mounts",
    .run = Run,
    .refused = "dies of setns",
});

}  // namespace
}  // namespace capbroker::hostile
