// Takes connections.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(listen(TakeSmuggled().tcp, 1)); }

const Registered attack({
    .aims_at = "sockets and addresses",
    .run = Run,
    .refused = "EACCES",
    .run_serving = "EINVAL",
    .no_control = "a connected socket does not listen",
});

}  // namespace
}  // namespace capbroker::hostile
