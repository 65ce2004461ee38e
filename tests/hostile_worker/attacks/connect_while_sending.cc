// MSG_FASTOPEN connects.
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
  name.sin_port = htons(static_cast<uint16_t>(scene.tcp_port));
  msghdr packet = {};
  packet.msg_name = &name;
  packet.msg_namelen = sizeof name;
  return Result(sendmsg(TakeSmuggled().tcp, &packet, MSG_FASTOPEN));
}

const Registered attack({
    .aims_at = "sockets and addresses",
    .run = Run,
    .refused = "EINVAL",
    .no_control = "not a socket that is connected",
});

}  // namespace
}  // namespace capbroker::hostile
