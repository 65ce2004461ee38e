// Lets its parent trace it: the first step of an escape by a traced child.
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)); }

const Registered attack({
    .aims_at = "other processes",
    .run = Run,
    .refused = "dies of ptrace",
});

}  // namespace
}  // namespace capbroker::hostile
