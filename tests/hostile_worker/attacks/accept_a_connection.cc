// The same with a socket that listens already.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(accept4(2, nullptr, nullptr, SOCK_NONBLOCK)); }

const Registered attack({
    .aims_at = "sockets and addresses",
    .run = Run,
    .refused = "EACCES",
    .run_serving = "EINVAL",
    .no_control = "takes a socket that listens",
});

}  // namespace
}  // namespace capbroker::hostile
