// Pages of a read-only file in a pipe: what Dirty Pipe wrote to.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  int ends[2];
  if (pipe(ends) != 0) return Result(-1);
  off64_t offset = 0;
  return Result(splice(0, &offset, ends[1], nullptr, 1, 0));
}

const Registered attack({
    .aims_at = "moving pages between files",
    .run = Run,
    .refused = "EINVAL",
});

}  // namespace
}  // namespace capbroker::hostile
