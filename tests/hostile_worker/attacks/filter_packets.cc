// A program of the older kind, on a socket.
#include <linux/filter.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  sock_filter accept = {BPF_RET | BPF_K, 0, 0, 0xffff};
  const sock_fprog program = {1, &accept};
  return Result(setsockopt(2, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
}

const Registered attack({
    .aims_at = "sockets and addresses",
    .run = Run,
    .refused = "ENOPROTOOPT",
});

}  // namespace
}  // namespace capbroker::hostile
