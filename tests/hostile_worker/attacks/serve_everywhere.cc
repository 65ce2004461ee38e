// A server for everybody who reaches the host, where one for the host itself was granted at most.
#include <netinet/in.h>

#include "tests/hostile_worker/attack.h"
#include "tests/hostile_worker/server.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) { return Result(BoundTo(INADDR_ANY, scene.free_port)); }

const Registered attack({
    .aims_at = "sockets and addresses",
    .run = Run,
    .refused = "EACCES",
    .run_serving = "ENOTCAPABLE",
});

}  // namespace
}  // namespace capbroker::hostile
