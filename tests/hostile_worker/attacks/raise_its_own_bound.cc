// More descriptors than it was given.
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return Result(-1);
  limit.rlim_cur = limit.rlim_max = limit.rlim_max + 100;
  return Result(setrlimit(RLIMIT_NOFILE, &limit));
}

const Registered attack({
    .aims_at = "floods",
    .run = Run,
    .refused = "EPERM",
    .no_control = "the limit may be the kernel's highest already",
});

}  // namespace
}  // namespace capbroker::hostile
