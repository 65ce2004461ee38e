// Writes at an offset.
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  iovec data = {.iov_base = const_cast<char*>("X"), .iov_len = 1};
  constexpr int kNoAppend = 0x20;
  return Result(pwritev2(TakeSmuggled().append, &data, 1, 0, kNoAppend));
}

const Registered attack({
    .aims_at = "rights of descriptors",
    .run = Run,
    .refused = "ENOSYS or EOPNOTSUPP",
});

}  // namespace
}  // namespace capbroker::hostile
