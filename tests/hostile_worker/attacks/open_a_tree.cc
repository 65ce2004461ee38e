// A copy of a mount, which can be changed and walked.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  return Result(syscall(SYS_open_tree, AT_FDCWD, "/", 1 /* OPEN_TREE_CLONE */));
}

const Registered attack({
    .aims_at = "namespaces and mounts",
    .run = Run,
    .refused = "dies of open_tree",
});

}  // namespace
}  // namespace capbroker::hostile
