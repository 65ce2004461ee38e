// Opens a file that everybody may read.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) { return Result(syscall(SYS_open, scene.file, O_RDONLY)); }

const Registered attack({
    .aims_at = "files by name",
    .run = Run,
    .refused = "EACCES",
    .executed = "ENOENT or EACCES",
    .supervised = "ENOTCAPABLE",
});

}  // namespace
}  // namespace capbroker::hostile
