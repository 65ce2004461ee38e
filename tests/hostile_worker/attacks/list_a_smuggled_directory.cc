// The names in a directory that somebody has sent.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  const Smuggled smuggled = TakeSmuggled();
  char entries[4096];
  return Result(syscall(SYS_getdents64, smuggled.directory, entries, sizeof entries));
}

const Registered attack({
    .aims_at = "directories",
    .run = Run,
    .refused = "EACCES",
    .supervised = "succeeded",
});

}  // namespace
}  // namespace capbroker::hostile
