#include "base/heap_holes.h"

#include <malloc.h>

#include <cstdint>
#include <cstdlib>
#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace capbroker {
namespace {

constexpr uintptr_t kPage = 4096;

// What a process does before it forks: it keeps every eighth of many small things.
void MakeHoles(std::vector<void*>& kept) {
  std::vector<void*> all;
  for (int i = 0; i < 20'000; ++i) all.push_back(std::malloc(16 + static_cast<size_t>(i % 50) * 8));
  for (size_t i = 0; i < all.size(); ++i) {
    if (i % 8 == 0) {
      kept.push_back(all[i]);
    } else {
      std::free(all[i]);
    }
  }
}

size_t PagesOfNextAllocations(int count) {
  std::set<uintptr_t> pages;
  std::vector<void*> allocated;
  allocated.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    allocated.push_back(std::malloc(16 + static_cast<size_t>(i % 25) * 16));
    pages.insert(reinterpret_cast<uintptr_t>(allocated.back()) / kPage);
  }
  for (void* memory : allocated) std::free(memory);
  return pages.size();
}

TEST(HeapHolesTest, WhatIsAllocatedAfterwardsLiesTogether) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the allocator is the sanitizer's";
#endif
  std::vector<void*> kept;
  MakeHoles(kept);
  const size_t scattered = PagesOfNextAllocations(500);
  FillHeapHoles();
  const size_t together = PagesOfNextAllocations(500);
  // 500 things of 208 bytes on average, and what surrounds them: some 27 pages.
  EXPECT_LE(together, 40u);
  EXPECT_GE(scattered, 2 * together);
  for (void* memory : kept) std::free(memory);
}

}  // namespace
}  // namespace capbroker
