// Where readable memory is executable, and addresses are not random.
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(personality(READ_IMPLIES_EXEC)); }

const Registered attack({
    .aims_at = "rarely used parts of the kernel",
    .run = Run,
    .refused = "dies of personality",
});

}  // namespace
}  // namespace capbroker::hostile
