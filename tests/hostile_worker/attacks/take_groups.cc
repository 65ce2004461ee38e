// Supplementary groups.
#include <grp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(setgroups(0, nullptr)); }

const Registered attack({
    .aims_at = "who it is",
    .run = Run,
    .refused = "dies of setgroups",
});

}  // namespace
}  // namespace capbroker::hostile
