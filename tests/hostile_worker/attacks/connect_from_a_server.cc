// A socket that may be bound is connected to somebody.
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/hostile_worker/attack.h"
#include "tests/hostile_worker/server.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  const int server = BoundTo(INADDR_LOOPBACK, scene.free_port);
  if (server < 0) return Result(server);
  const sockaddr_in name = NameOf(INADDR_LOOPBACK, scene.tcp_port);
  return Result(connect(server, reinterpret_cast<const sockaddr*>(&name), sizeof name));
}

const Registered attack({
    .aims_at = "sockets and addresses",
    .run = Run,
    .refused = "EACCES",
    .run_serving = "ECAPMODE",
});

}  // namespace
}  // namespace capbroker::hostile
