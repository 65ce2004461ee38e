// A server that was shut down, as by a revocation, listens again after listen(2).
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/hostile_worker/attack.h"
#include "tests/hostile_worker/server.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  const int server = BoundTo(INADDR_LOOPBACK, scene.free_port);
  if (server < 0 || listen(server, 1) != 0 || shutdown(server, SHUT_RDWR) != 0) return Result(-1);
  return Result(listen(server, 1));
}

const Registered attack({
    .aims_at = "sockets and addresses",
    .run = Run,
    .refused = "EACCES",
    .run_serving = "EINVAL",
});

}  // namespace
}  // namespace capbroker::hostile
