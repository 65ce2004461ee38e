// A lease stops whoever opens the file until it is given back.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(fcntl(0, F_SETLEASE, F_RDLCK)); }

const Registered attack({
    .aims_at = "rights of descriptors",
    .run = Run,
    .refused = "EPERM",
    .no_control = "a file that somebody has open gives none",
});

}  // namespace
}  // namespace capbroker::hostile
