// A file without end: its bound is 1 MiB.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  std::signal(SIGXFSZ, SIG_IGN);
  const int log = TakeSmuggled().append;
  char block[4096];
  std::memset(block, 'x', sizeof block);
  for (int i = 0; i < 1024; ++i) {
    if (write(log, block, sizeof block) < 0) return Result(-1);
  }
  return kSucceeded;
}

const Registered attack({
    .aims_at = "floods",
    .run = Run,
    .refused = "EFBIG",
});

}  // namespace
}  // namespace capbroker::hostile
