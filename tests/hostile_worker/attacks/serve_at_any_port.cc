// A server at a port that the system chooses, where one port was granted at most.
#include <netinet/in.h>

#include "tests/hostile_worker/attack.h"
#include "tests/hostile_worker/server.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) { return Result(BoundTo(INADDR_LOOPBACK, 0)); }

const Registered attack({
    .aims_at = "sockets and addresses",
    .run = Run,
    .refused = "EACCES",
    .run_serving = "ENOTCAPABLE",
});

}  // namespace
}  // namespace capbroker::hostile
