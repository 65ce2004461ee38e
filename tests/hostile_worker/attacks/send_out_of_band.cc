// Urgent data, which AF_UNIX got wrong more than once.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(send(2, "x", 1, MSG_OOB)); }

const Registered attack({
    .aims_at = "sockets and addresses",
    .run = Run,
    .refused = "EACCES",
});

}  // namespace
}  // namespace capbroker::hostile
