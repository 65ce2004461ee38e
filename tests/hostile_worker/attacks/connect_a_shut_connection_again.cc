// A TCP connection that somebody has sent, and shut down, is connected elsewhere.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  const int fd = TakeSmuggled().tcp;
  sockaddr none = {};
  none.sa_family = AF_UNSPEC;
  if (connect(fd, &none, sizeof none) != 0) return Result(-1);
  sockaddr_in name = {};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  name.sin_port = htons(static_cast<uint16_t>(scene.tcp_port));
  return Result(connect(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name));
}

const Registered attack({
    .aims_at = "sockets and addresses",
    .run = Run,
    .refused = "EACCES",
    .run_serving = "ECAPMODE",
});

}  // namespace
}  // namespace capbroker::hostile
