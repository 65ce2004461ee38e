// A lock stops everybody else who locks it.
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(flock(0, LOCK_EX | LOCK_NB)); }

const Registered attack({
    .aims_at = "rights of descriptors",
    .run = Run,
    .refused = "EPERM",
    .supervised = "succeeded",
});

}  // namespace
}  // namespace capbroker::hostile
