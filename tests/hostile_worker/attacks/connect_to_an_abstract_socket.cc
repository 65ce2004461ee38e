// A name that belongs to no file system.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) return Result(fd);
  sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = {}};
  std::strcpy(name.sun_path + 1, scene.abstract_name);
  const size_t size = offsetof(sockaddr_un, sun_path) + 1 + std::strlen(scene.abstract_name);
  return Result(
      connect(fd, reinterpret_cast<const sockaddr*>(&name), static_cast<socklen_t>(size)));
}

const Registered attack({
    .aims_at = "sockets and addresses",
    .run = Run,
    .refused = "EACCES",
    .run_serving = "ENOTCAPABLE",
});

}  // namespace
}  // namespace capbroker::hostile
