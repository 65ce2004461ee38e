// Memory without end: its bound is 64 MiB.
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/hostile_worker/attack.h"

namespace capbroker::hostile {
namespace {

std::string Run(const Scene&) {
  constexpr size_t kPart = 16 << 20;
  for (int i = 0; i < 16; ++i) {
    void* const part =
        mmap(nullptr, kPart, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (part == MAP_FAILED) return Result(-1);
    for (size_t at = 0; at < kPart; at += 4096) static_cast<volatile char*>(part)[at] = 1;
  }
  return kSucceeded;
}

const Registered attack({
    .aims_at = "floods",
    .run = Run,
    .refused = "ENOMEM",
});

}  // namespace
}  // namespace capbroker::hostile
