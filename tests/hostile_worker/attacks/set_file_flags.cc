// Immutable and other flags of a file.
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  int flags = 0;
  return Result(ioctl(0, FS_IOC_GETFLAGS, &flags));
}

const Registered attack({
    .aims_at = "rights of descriptors",
    .run = Run,
    .refused = "ENOTTY",
    .no_control = "takes a file system that has them",
});

}  // namespace
}  // namespace capbroker::hostile
