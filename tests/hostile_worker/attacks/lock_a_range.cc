// The same by fcntl.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  struct flock range = {};
  range.l_type = F_RDLCK;
  return Result(fcntl(0, F_SETLK, &range));
}

const Registered attack({
    .aims_at = "rights of descriptors",
    .run = Run,
    .refused = "ENOLCK",
    .supervised = "succeeded",
});

}  // namespace
}  // namespace capbroker::hostile
