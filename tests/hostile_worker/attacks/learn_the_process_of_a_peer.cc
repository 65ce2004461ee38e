// A pidfd of whoever is at the other end.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  int process = -1;
  socklen_t size = sizeof process;
  return Result(getsockopt(2, SOL_SOCKET, 77 /* SO_PEERPIDFD */, &process, &size));
}

const Registered attack({
    .aims_at = "sockets and addresses",
    .run = Run,
    .refused = "ENOPROTOOPT",
});

}  // namespace
}  // namespace capbroker::hostile
