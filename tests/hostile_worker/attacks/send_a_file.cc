// sendfile.
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  int ends[2];
  if (pipe(ends) != 0) return Result(-1);
  off_t offset = 0;
  return Result(sendfile(ends[1], 0, &offset, 1));
}

const Registered attack({
    .aims_at = "moving pages between files",
    .run = Run,
    .refused = "EINVAL",
});

}  // namespace
}  // namespace capbroker::hostile
