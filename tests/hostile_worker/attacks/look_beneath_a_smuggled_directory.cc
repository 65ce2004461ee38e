// With the one call that names a file beside a descriptor and is needed for the fstat() of the C
// library.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  const Smuggled smuggled = TakeSmuggled();
  struct stat status;
  return Result(syscall(SYS_newfstatat, smuggled.directory, "file", &status, AT_EMPTY_PATH));
}

const Registered attack({
    .aims_at = "directories",
    .run = Run,
    .refused = "EACCES",
    .executed = "succeeded",
    .supervised = "succeeded or ENOTCAPABLE",
});

}  // namespace
}  // namespace capbroker::hostile
