// A datagram to somebody else than whom the socket is connected to.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  sockaddr_in name = {};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  name.sin_port = htons(static_cast<uint16_t>(scene.udp_port));
  return Result(
      sendto(TakeSmuggled().udp, "x", 1, 0, reinterpret_cast<const sockaddr*>(&name), sizeof name));
}

const Registered attack({
    .aims_at = "sockets and addresses",
    .run = Run,
    .refused = "EACCES",
});

}  // namespace
}  // namespace capbroker::hostile
