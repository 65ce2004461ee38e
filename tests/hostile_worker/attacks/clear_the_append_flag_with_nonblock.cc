// F_SETFL with O_NONBLOCK, which the table answers with success for gRPC, must do nothing.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  const int log = TakeSmuggled().append;
  if (fcntl(log, F_SETFL, O_WRONLY | O_NONBLOCK) != 0) return Result(-1);
  return (fcntl(log, F_GETFL) & O_APPEND) == 0 ? kSucceeded : "still for appending";
}

const Registered attack({
    .aims_at = "rights of descriptors",
    .run = Run,
    .refused = "still for appending",
    .supervised = "EPERM",
});

}  // namespace
}  // namespace capbroker::hostile
