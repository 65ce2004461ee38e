// process_vm_writev.
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  char stack_of_all[8] = {};
  iovec local = {.iov_base = stack_of_all, .iov_len = sizeof stack_of_all};
  iovec remote = local;
  return Result(process_vm_writev(scene.bystander, &local, 1, &remote, 1, 0));
}

const Registered attack({
    .aims_at = "other processes",
    .run = Run,
    .refused = "dies of process_vm_writev",
});

}  // namespace
}  // namespace capbroker::hostile
