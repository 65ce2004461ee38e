// Buffers of the kernel without end, and descriptors that are in flight.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  int ends[2];
  return Result(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends));
}

const Registered attack({
    .aims_at = "sockets and addresses",
    .run = Run,
    .refused = "EACCES",
});

}  // namespace
}  // namespace capbroker::hostile
