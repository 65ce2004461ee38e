// A call that the table has never heard of.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(syscall(1000)); }

const Registered attack({
    .aims_at = "the table itself",
    .run = Run,
    .refused = "dies of call 1000",
    .no_control = "no kernel has it yet",
});

}  // namespace
}  // namespace capbroker::hostile
