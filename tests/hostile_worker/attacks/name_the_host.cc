// Another name for the host.
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  char name[65] = {};
  gethostname(name, sizeof name - 1);
  return Result(sethostname(name, std::string(name).size()));
}

const Registered attack({
    .aims_at = "namespaces and mounts",
    .run = Run,
    .refused = "dies of sethostname",
});

}  // namespace
}  // namespace capbroker::hostile
