// Every open of a whole file system, with a descriptor of each file.
#include <fcntl.h>
#include <sys/fanotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  return Result(syscall(SYS_fanotify_init, FAN_CLASS_CONTENT, O_RDONLY));
}

const Registered attack({
    .aims_at = "files by name",
    .run = Run,
    .refused = "dies of fanotify_init",
});

}  // namespace
}  // namespace capbroker::hostile
