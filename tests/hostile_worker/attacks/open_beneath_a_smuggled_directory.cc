// What is in a directory that somebody has sent.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  const Smuggled smuggled = TakeSmuggled();
  return Result(syscall(SYS_openat, smuggled.directory, "file", O_RDONLY));
}

const Registered attack({
    .aims_at = "directories",
    .run = Run,
    .refused = "EACCES",
    .executed = "EACCES or ENOENT",
    .supervised = "ENOTCAPABLE",
});

}  // namespace
}  // namespace capbroker::hostile
