// Its own user again, in case privileges were only put aside.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(syscall(SYS_setresuid, 0, 0, 0)); }

const Registered attack({
    .aims_at = "who it is",
    .run = Run,
    .refused = "dies of setresuid",
});

}  // namespace
}  // namespace capbroker::hostile
