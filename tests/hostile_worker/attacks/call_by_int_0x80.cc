// The numbers of the 32 bit interface mean other calls: 5 is open there.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene& scene) {
#if defined(__x86_64__)
  // Within the first 4 GiB, where such a call finds its arguments.
  char* const low = static_cast<char*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0));
  std::strcpy(low, scene.file);
  long result;
  asm volatile("int $0x80" : "=a"(result) : "a"(5L), "b"(low), "c"(0L), "d"(0L) : "memory");
  if (result >= 0) return kSucceeded;
  errno = static_cast<int>(-result);
#endif
  return Result(-1);
}

const Registered attack({
    .aims_at = "the table itself",
    .run = Run,
    .refused = "dies of call 5 of architecture 0x40000003",
});

}  // namespace
}  // namespace capbroker::hostile
