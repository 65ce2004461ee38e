// An append-only descriptor becomes one for overwriting.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(fcntl(TakeSmuggled().append, F_SETFL, O_WRONLY)); }

const Registered attack({
    .aims_at = "rights of descriptors",
    .run = Run,
    .refused = "EPERM",
});

}  // namespace
}  // namespace capbroker::hostile
