// The network.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(socket(AF_INET, SOCK_STREAM, 0)); }

const Registered attack({
    .aims_at = "sockets and addresses",
    .run = Run,
    .refused = "EACCES",
    .run_serving = "succeeded",
});

}  // namespace
}  // namespace capbroker::hostile
