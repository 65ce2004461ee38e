#include "base/heap_holes.h"

#include <malloc.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace capbroker {
namespace {

constexpr size_t kLargestHole = 64u << 10;
// Steps of glibc's bins for small chunks; what they hold is 8 bytes more or less.
constexpr size_t kStep = 16;
constexpr size_t kSmall = 1024;

// Where the memory begins that was never given out.
uintptr_t EndOfUsed() {
  return reinterpret_cast<uintptr_t>(sbrk(0)) - static_cast<uintptr_t>(mallinfo2().keepcost);
}

}  // namespace

void FillHeapHoles() {
  const uintptr_t end = EndOfUsed();
  size_t size = kLargestHole;
  while (size >= kStep) {
    void* const hole = std::malloc(size - sizeof(size_t));
    if (hole != nullptr && reinterpret_cast<uintptr_t>(hole) < end) continue;
    std::free(hole);
    size = size > kSmall ? size - size / 8 / kStep * kStep : size - kStep;
  }
}

}  // namespace capbroker
