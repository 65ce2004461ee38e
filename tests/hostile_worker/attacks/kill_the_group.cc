// Kills its process group.
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(syscall(SYS_kill, 0, SIGCONT)); }

const Registered attack({
    .aims_at = "other processes",
    .run = Run,
    .refused = "EPERM",
    .run_with_processes = "succeeded",
});

}  // namespace
}  // namespace capbroker::hostile
