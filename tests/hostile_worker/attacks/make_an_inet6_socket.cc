// The network, version 6.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(socket(AF_INET6, SOCK_STREAM, 0)); }

const Registered attack({
    .aims_at = "sockets and addresses",
    .run = Run,
    .refused = "EACCES",
    .run_serving = "succeeded",
    .no_control = "the kernel may be built without it",
});

}  // namespace
}  // namespace capbroker::hostile
