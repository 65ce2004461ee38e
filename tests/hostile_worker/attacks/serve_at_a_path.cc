// A name in the file system, at which a server of the attacker's would be found.
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <string>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  const int server = socket(AF_UNIX, SOCK_STREAM, 0);
  if (server < 0) return Result(server);
  sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = {}};
  std::strcpy(name.sun_path, (std::string(scene.directory) + "/server").c_str());
  return Result(bind(server, reinterpret_cast<const sockaddr*>(&name), sizeof name));
}

const Registered attack({
    .aims_at = "sockets and addresses",
    .run = Run,
    .refused = "EACCES",
    .run_serving = "ECAPMODE",
});

}  // namespace
}  // namespace capbroker::hostile
