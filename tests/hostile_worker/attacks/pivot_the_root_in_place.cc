// The call alone.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(syscall(SYS_pivot_root, ".", ".")); }

const Registered attack({
    .aims_at = "namespaces and mounts",
    .run = Run,
    .refused = "dies of pivot_root",
    .no_control = "takes a root that is a mount",
});

}  // namespace
}  // namespace capbroker::hostile
