// The same by a pidfd.
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(setns(TakeSmuggled().process, CLONE_NEWUTS)); }

const Registered attack({
    .aims_at = "namespaces and mounts",
    .run = Run,
    .refused = "dies of setns",
});

}  // namespace
}  // namespace capbroker::hostile
