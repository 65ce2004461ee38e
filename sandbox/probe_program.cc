// The program that executed_worker_test.cc executes: it tries what its first
// argument names, and exits with the errno, or with 0 if that succeeded.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace {

extern "C" char** environ;

int Errno(long result) { return result < 0 ? errno : 0; }

int Open(const char* path, int flags = O_RDONLY) { return Errno(open(path, flags | O_CLOEXEC)); }

int Map(int protection, int flags, int fd) {
  void* page = mmap(nullptr, 4096, protection, flags, fd, 0);
  return page == MAP_FAILED ? errno : 0;
}

int Threads() {
  pthread_t threads[4];
  for (pthread_t& thread : threads) {
    if (pthread_create(
            &thread, nullptr, [](void*) -> void* { return nullptr; }, nullptr) != 0) {
      return 1;
    }
  }
  for (pthread_t thread : threads) pthread_join(thread, nullptr);
  return 0;
}

int ExecuteAgain(const char* path) {
  char* const nothing[] = {nullptr};
  // The numbers that a program's own start may have had, and the address of "".
  for (int fd = 0; fd < 5000; ++fd) {
    syscall(SYS_execveat, fd, "", nothing, nothing, AT_EMPTY_PATH);
    if (errno != EACCES && errno != EBADF) return 1;
  }
  return Errno(syscall(SYS_execveat, AT_FDCWD, path, nothing, nothing, 0));
}

int Run(const std::string& what, int argc, char** argv) {
  if (what == "environment") return environ[0] == nullptr ? 0 : 1;
  if (what == "one variable") {
    const char* value = getenv("NAME");
    return value != nullptr && strcmp(value, "value") == 0 && environ[1] == nullptr ? 0 : 1;
  }
  if (what == "arguments") return argc == 4 && strcmp(argv[3], "two words") == 0 ? 0 : 1;
  if (what == "descriptors") {
    int open = 0;
    for (int fd = 0; fd < 5000; ++fd) open += fcntl(fd, F_GETFD) >= 0;
    return open;
  }
  if (what == "threads") return Threads();
  if (what == "fstat") {
    struct stat status;
    return Errno(fstat(3, &status));
  }
  if (what == "capabilities") return Errno(prctl(PR_CAPBSET_READ, 0, 0, 0, 0) == 0 ? 0 : -1);
  if (what == "open passwd") return Open("/etc/passwd");
  if (what == "open home") return Open("/root");
  if (what == "open proc") return Open("/proc/self/maps");
  if (what == "open library") return Open(argv[2]);
  if (what == "write library") return Open(argv[2], O_WRONLY);
  if (what == "create in libraries") return Open("/usr/lib/x", O_WRONLY | O_CREAT);
  if (what == "map library code") {
    return Map(PROT_READ | PROT_EXEC, MAP_PRIVATE, open(argv[2], O_RDONLY));
  }
  if (what == "map writable code") return Map(7, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  if (what == "map anonymous code") return Map(5, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  if (what == "make code") {
    void* page = mmap(nullptr, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return Errno(mprotect(page, 4096, 5));
  }
  if (what == "fork") return Errno(syscall(SYS_fork));
  if (what == "memfd") return Errno(static_cast<int>(syscall(SYS_memfd_create, "x", 0)));
  if (what == "execute again") return ExecuteAgain(argv[2]);
  if (what == "execve") return Errno(execl("/usr/bin/env", "env", nullptr));
  if (what == "ptrace") return Errno(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr));
  if (what == "abort") abort();
  if (what == "dlopen") return dlopen(argv[2], RTLD_NOW) != nullptr ? 0 : 1;
  if (what == "print") return printf("printed\n") > 0 ? 0 : 1;
  return 98;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 97;
  return Run(argv[1], argc, argv);
}
