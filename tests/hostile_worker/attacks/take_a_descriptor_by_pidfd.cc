// Copies a descriptor out of a process whose pidfd somebody has sent.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  return Result(syscall(438 /* pidfd_getfd */, TakeSmuggled().process, 0, 0));
}

const Registered attack({
    .aims_at = "other processes",
    .run = Run,
    .refused = "dies of pidfd_getfd",
});

}  // namespace
}  // namespace capbroker::hostile
