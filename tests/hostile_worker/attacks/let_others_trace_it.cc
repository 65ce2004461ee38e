// Names a process that may trace it, against Yama.
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)); }

const Registered attack({
    .aims_at = "who it is",
    .run = Run,
    .refused = "EINVAL",
});

}  // namespace
}  // namespace capbroker::hostile
