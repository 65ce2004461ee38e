// listen(2) of a socket that is not bound gives it a port that the system chooses.
#include <sys/socket.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  const int server = socket(AF_INET, SOCK_STREAM, 0);
  return Result(server < 0 ? server : listen(server, 1));
}

const Registered attack({
    .aims_at = "sockets and addresses",
    .run = Run,
    .refused = "EACCES",
    .run_serving = "ECAPMODE",
});

}  // namespace
}  // namespace capbroker::hostile
