#include "base/freed_memory.h"

#include <malloc.h>

namespace capbroker {
namespace {

// The C library's defaults.
constexpr int kUsualTrimThreshold = 128 << 10;
constexpr int kUsualMaps = 65536;
// More than the messages of a call and what becomes of them.
constexpr int kKept = 512 << 20;

}  // namespace

void ShareOneHeap() { (void)mallopt(M_ARENA_MAX, 1); }

void KeepFreedMemory() {
  (void)mallopt(M_MMAP_MAX, 0);
  (void)mallopt(M_TRIM_THRESHOLD, kKept);
}

void GiveFreedMemoryBack() {
  (void)mallopt(M_MMAP_MAX, kUsualMaps);
  (void)mallopt(M_TRIM_THRESHOLD, kUsualTrimThreshold);
  (void)malloc_trim(0);
}

}  // namespace capbroker
