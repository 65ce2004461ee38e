// process_vm_readv of a process of the same user.
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
  char stolen[8];
  iovec local = {.iov_base = stolen, .iov_len = sizeof stolen};
  iovec remote = {.iov_base = const_cast<char*>(kContent), .iov_len = sizeof stolen};
  return Result(process_vm_readv(scene.bystander, &local, 1, &remote, 1, 0));
}

const Registered attack({
    .aims_at = "other processes",
    .run = Run,
    .refused = "dies of process_vm_readv",
});

}  // namespace
}  // namespace capbroker::hostile
