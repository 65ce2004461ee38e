// Who opens and changes a file, and when.
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  const long watch = syscall(SYS_inotify_init1, 0);
  if (watch < 0) return Result(watch);
  return Result(syscall(SYS_inotify_add_watch, watch, scene.file, IN_ALL_EVENTS));
}

const Registered attack({
    .aims_at = "files by name",
    .run = Run,
    .refused = "EACCES",
    .supervised = "ECAPMODE",
});

}  // namespace
}  // namespace capbroker::hostile
