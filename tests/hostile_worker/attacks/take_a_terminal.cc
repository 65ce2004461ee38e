// Makes a terminal that somebody has sent the controlling one.
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  (void)setsid();
  return Result(ioctl(TakeSmuggled().terminal, TIOCSCTTY, 1));
}

const Registered attack({
    .aims_at = "terminals",
    .run = Run,
    .refused = "ENOTTY",
});

}  // namespace
}  // namespace capbroker::hostile
