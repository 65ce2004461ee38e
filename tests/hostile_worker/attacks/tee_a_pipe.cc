// tee.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  int from[2], to[2];
  if (pipe(from) != 0 || pipe(to) != 0 || write(from[1], "x", 1) != 1) return Result(-1);
  return Result(tee(from[0], to[1], 1, 0));
}

const Registered attack({
    .aims_at = "moving pages between files",
    .run = Run,
    .refused = "EINVAL",
});

}  // namespace
}  // namespace capbroker::hostile
