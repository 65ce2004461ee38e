// A program of which somebody has sent a descriptor.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  char* none[] = {nullptr};
  return Result(syscall(SYS_execveat, TakeSmuggled().path, "", none, none, AT_EMPTY_PATH));
}

const Registered attack({
    .aims_at = "processes and code",
    .run = Run,
    .refused = "EACCES",
    .no_control = "the descriptor is of a text: EACCES",
});

}  // namespace
}  // namespace capbroker::hostile
