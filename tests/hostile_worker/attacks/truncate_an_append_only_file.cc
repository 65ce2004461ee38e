// Truncation is not in an access mode.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(ftruncate(TakeSmuggled().append, 0)); }

const Registered attack({
    .aims_at = "rights of descriptors",
    .run = Run,
    .refused = "EPERM",
});

}  // namespace
}  // namespace capbroker::hostile
