// Uses up what it can get: `glutton memory CHILDREN MEBIBYTES`, `glutton shared MEBIBYTES`,
// `glutton processes`, `glutton time`. Knows nothing of where it runs.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <string>

namespace {

constexpr size_t kMebibyte = 1 << 20;

// Each child uses as much by itself as it is allowed to.
int UseMemory(int children, size_t mebibytes) {
  for (int i = 0; i < children; ++i) {
    if (fork() != 0) continue;
    void* const bytes = malloc(mebibytes * kMebibyte);
    if (bytes == nullptr) _exit(3);
    memset(bytes, 1, mebibytes * kMebibyte);
    printf("has %zu\n", mebibytes);
    fflush(stdout);
    while (true) pause();
  }
  while (wait(nullptr) > 0) {
  }
  return 0;
}

// Memory that no limit of a process counts but as address space.
int UseShared(size_t mebibytes) {
  void* const bytes = mmap(nullptr, mebibytes * kMebibyte, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (bytes == MAP_FAILED) return 3;
  memset(bytes, 1, mebibytes * kMebibyte);
  return 0;
}

int UseProcesses() {
  int count = 0;
  while (true) {
    const pid_t child = fork();
    if (child == 0) {
      while (true) pause();
    }
    if (child < 0) break;
    ++count;
  }
  printf("%d\n", count);
  return 0;
}

// No process of it uses more than a moment.
int UseTime() {
  while (true) {
    const pid_t child = fork();
    if (child == 0) {
      while (clock() < CLOCKS_PER_SEC / 5) {
      }
      _exit(0);
    }
    if (child < 0) return 3;
    waitpid(child, nullptr, 0);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  const auto number = [&](int i) { return argc > i ? atoi(argv[i]) : 0; };
  if (what == "memory") return UseMemory(number(2), static_cast<size_t>(number(3)));
  if (what == "shared") return UseShared(static_cast<size_t>(number(2)));
  if (what == "processes") return UseProcesses();
  if (what == "time") return UseTime();
  return 2;
}
