// New namespaces, in which it would be root.
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(unshare(CLONE_NEWUSER | CLONE_NEWNS)); }

const Registered attack({
    .aims_at = "namespaces and mounts",
    .run = Run,
    .refused = "dies of unshare",
});

}  // namespace
}  // namespace capbroker::hostile
