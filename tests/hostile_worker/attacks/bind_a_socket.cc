// A name, at which others would find it.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "\0hostile"};
  return Result(
      bind(TakeSmuggled().raw_unix, reinterpret_cast<const sockaddr*>(&name), sizeof name));
}

const Registered attack({
    .aims_at = "sockets and addresses",
    .run = Run,
    .refused = "EACCES",
    .run_serving = "ECAPMODE",
});

}  // namespace
}  // namespace capbroker::hostile
