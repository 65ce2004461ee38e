// Messages by a number.
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  struct {
    long type;
    char text[1];
  } message = {1, {'x'}};
  return Result(msgsnd(scene.message_id, &message, 1, IPC_NOWAIT));
}

const Registered attack({
    .aims_at = "System V objects",
    .run = Run,
    .refused = "ENOSYS",
});

}  // namespace
}  // namespace capbroker::hostile
