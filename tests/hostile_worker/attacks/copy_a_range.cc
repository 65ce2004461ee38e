// copy_file_range.
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  off64_t from = 0;
  const int log = TakeSmuggled().append;
  return Result(syscall(SYS_copy_file_range, 0, &from, log, nullptr, 1, 0));
}

const Registered attack({
    .aims_at = "moving pages between files",
    .run = Run,
    .refused = "EINVAL",
    .no_control = "not into what is for appending",
});

}  // namespace
}  // namespace capbroker::hostile
