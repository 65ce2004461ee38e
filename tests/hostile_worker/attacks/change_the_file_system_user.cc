// The user that files are opened as.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(syscall(SYS_setfsuid, 0) >= 0 ? 0 : -1); }

const Registered attack({
    .aims_at = "who it is",
    .run = Run,
    .refused = "dies of setfsuid",
});

}  // namespace
}  // namespace capbroker::hostile
