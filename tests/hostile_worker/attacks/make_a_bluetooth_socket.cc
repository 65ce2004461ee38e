// Bluetooth.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(socket(AF_BLUETOOTH, SOCK_SEQPACKET, 0)); }

const Registered attack({
    .aims_at = "sockets and addresses",
    .run = Run,
    .refused = "EACCES",
    .no_control = "the kernel may be built without it",
});

}  // namespace
}  // namespace capbroker::hostile
