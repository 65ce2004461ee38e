// The same for its group.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(syscall(SYS_setresgid, 0, 0, 0)); }

const Registered attack({
    .aims_at = "who it is",
    .run = Run,
    .refused = "dies of setresgid",
});

}  // namespace
}  // namespace capbroker::hostile
