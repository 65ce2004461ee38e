// vmsplice.
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  int ends[2];
  if (pipe(ends) != 0) return Result(-1);
  char data[8] = {};
  const iovec part = {.iov_base = data, .iov_len = sizeof data};
  return Result(vmsplice(ends[1], &part, 1, SPLICE_F_GIFT));
}

const Registered attack({
    .aims_at = "moving pages between files",
    .run = Run,
    .refused = "EINVAL",
});

}  // namespace
}  // namespace capbroker::hostile
