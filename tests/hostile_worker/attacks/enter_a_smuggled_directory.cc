// Makes it the working directory.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(syscall(SYS_fchdir, TakeSmuggled().directory)); }

const Registered attack({
    .aims_at = "directories",
    .run = Run,
    .refused = "EACCES",
    .supervised = "ENOTCAPABLE",
});

}  // namespace
}  // namespace capbroker::hostile
