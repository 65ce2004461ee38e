// Attaches to a process of the same user.
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  return Result(ptrace(PTRACE_ATTACH, scene.bystander, nullptr, nullptr));
}

const Registered attack({
    .aims_at = "other processes",
    .run = Run,
    .refused = "dies of ptrace",
});

}  // namespace
}  // namespace capbroker::hostile
