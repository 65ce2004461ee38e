// The same through to the end.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  const long memory = syscall(SYS_memfd_create, "hostile", 0);
  if (memory < 0) return Result(memory);
  const int program = open(scene.program, O_RDONLY);
  char buffer[4096];
  ssize_t got;
  while ((got = read(program, buffer, sizeof buffer)) > 0) {
    if (write(static_cast<int>(memory), buffer, static_cast<size_t>(got)) != got) return Result(-1);
  }
  const long child = syscall(SYS_fork);
  char* none[] = {nullptr};
  if (child == 0)
    _exit(static_cast<int>(syscall(SYS_execveat, memory, "", none, none, AT_EMPTY_PATH)));
  int status = 1;
  wait4(static_cast<pid_t>(child), &status, 0, nullptr);
  return status == 0 ? kSucceeded : "did not run";
}

const Registered attack({
    .aims_at = "processes and code",
    .run = Run,
    .refused = "EPERM",
});

}  // namespace
}  // namespace capbroker::hostile
