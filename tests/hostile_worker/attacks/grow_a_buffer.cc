// More memory for what it sends, at the cost of whoever receives.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  const int size = 8 << 20;
  return Result(setsockopt(2, SOL_SOCKET, SO_SNDBUF, &size, sizeof size));
}

const Registered attack({
    .aims_at = "sockets and addresses",
    .run = Run,
    .refused = "ENOPROTOOPT",
});

}  // namespace
}  // namespace capbroker::hostile
