// Code from a file that it was granted for reading.
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  void* const page = mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, 0, 0);
  return page == MAP_FAILED ? Result(-1) : kSucceeded;
}

const Registered attack({
    .aims_at = "processes and code",
    .run = Run,
    .refused = "EPERM",
    .executed = "succeeded or EACCES or EPERM",
    .run_alone = "succeeded or EACCES",
});

}  // namespace
}  // namespace capbroker::hostile
