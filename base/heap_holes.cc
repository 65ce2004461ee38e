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

}  // namespace

void FillHeapHoles() {
  const struct mallinfo2 heap = mallinfo2();
  // Where the memory begins that was never given out.
  const uintptr_t end =
      reinterpret_cast<uintptr_t>(sbrk(0)) - static_cast<uintptr_t>(heap.keepcost);
  // The holes have less than the heap. It is empty where malloc() is another library's.
  size_t left = heap.arena;
  size_t size = kLargestHole;
  while (size >= kStep && left >= size) {
    void* const hole = std::malloc(size - sizeof(size_t));
    if (hole != nullptr && reinterpret_cast<uintptr_t>(hole) < end) {
      left -= size;
      continue;
    }
    std::free(hole);
    size = size > kSmall ? size - size / 8 / kStep * kStep : size - kStep;
  }
}

}  // namespace capbroker
