#include "base/freed_memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "gtest/gtest.h"

namespace capbroker {
namespace {

constexpr size_t kSize = 48 << 20;
constexpr long kPages = kSize / 4096;

void UseAndFree() {
  void* const memory = std::malloc(kSize);
  ASSERT_NE(memory, nullptr);
  std::memset(memory, 'x', kSize);
  std::free(memory);
}

long PagesTouched() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

long ResidentPages() {
  long size = 0;
  long resident = 0;
  FILE* const statm = std::fopen("/proc/self/statm", "r");
  EXPECT_EQ(std::fscanf(statm, "%ld %ld", &size, &resident), 2);
  std::fclose(statm);
  return resident;
}

TEST(FreedMemoryTest, IsUsedAgainWhileItIsKeptAndGoesBackThen) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the allocator is the sanitizer's";
#endif
  ShareOneHeap();
  const long before = ResidentPages();
  KeepFreedMemory();
  UseAndFree();
  EXPECT_GT(ResidentPages(), before + kPages / 2);
  const long touched = PagesTouched();
  for (int i = 0; i < 5; ++i) UseAndFree();
  EXPECT_LT(PagesTouched(), touched + kPages / 2);
  GiveFreedMemoryBack();
  EXPECT_LT(ResidentPages(), before + kPages / 10);
  UseAndFree();
  EXPECT_LT(ResidentPages(), before + kPages / 10);
}

}  // namespace
}  // namespace capbroker
