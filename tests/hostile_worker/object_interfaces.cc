#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "tests/hostile_worker/interface_probes.h"

namespace capbroker::hostile {
namespace {

// Newer than the headers that this may be built with.
constexpr int kFutexWaitVector = 449, kCachestat = 451, kMapShadowStack = 453, kMseal = 462;

void* Page() {
  return mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

std::string IntervalTimer(const Scene&) {
  const itimerval later = {{0, 0}, {1000, 0}};
  return Result(setitimer(ITIMER_REAL, &later, nullptr));
}

std::string PosixTimer(const Scene&) {
  timer_t timer;
  sigevent event = {};
  event.sigev_notify = SIGEV_NONE;
  return Result(timer_create(CLOCK_MONOTONIC, &event, &timer));
}

}  // namespace

std::vector<Attack> ObjectInterfaces() {
  return {
      Interface("interval timers", IntervalTimer),
      Interface("POSIX timers", PosixTimer),
      Interface("timer descriptors",
                [](const Scene&) { return Result(timerfd_create(CLOCK_MONOTONIC, 0)); }),
      Interface("alarms of the machine",
                [](const Scene&) { return Result(timerfd_create(CLOCK_BOOTTIME_ALARM, 0)); }),
      Interface("signal descriptors",
                [](const Scene&) {
                  sigset_t set;
                  sigemptyset(&set);
                  return Result(signalfd(-1, &set, 0));
                }),
      Interface("event descriptors", [](const Scene&) { return Result(eventfd(0, 0)); }),
      Interface("epoll", [](const Scene&) { return Result(epoll_create1(0)); }),
      Interface("pipes",
                [](const Scene&) {
                  int ends[2];
                  return Result(pipe(ends));
                }),
      Interface("packet pipes",
                [](const Scene&) {
                  int ends[2];
                  return Result(pipe2(ends, O_DIRECT));
                }),
      Interface("files in memory",
                [](const Scene&) {
                  return Within(memfd_create("x", 0) >= 0 || memfd_create("x", 8) >= 0);
                }),
      Interface("descriptors of a process",
                [](const Scene&) { return Result(syscall(SYS_pidfd_open, getpid(), 0)); }),
      Interface("watches of files", [](const Scene&) { return Result(inotify_init1(0)); }),
      Interface("watches of file systems",
                [](const Scene&) { return Result(fanotify_init(FAN_CLASS_NOTIF, 0)); }),
      Interface("rings of requests",
                [](const Scene&) {
                  char parameters[120] = {};
                  return Result(syscall(SYS_io_uring_setup, 1, parameters));
                }),
      Interface("queues of requests",
                [](const Scene&) {
                  uint64_t context = 0;
                  return Result(syscall(SYS_io_setup, 1, &context));
                }),
      Interface(
          "Landlock",
          [](const Scene&) { return Result(syscall(SYS_landlock_create_ruleset, nullptr, 0, 1)); }),
      Interface("filters of system calls",
                [](const Scene&) {
                  const uint32_t kill_process = 0x80000000;
                  return Result(syscall(SYS_seccomp, 2, 0, &kill_process));
                }),
      Interface("memory that nobody else sees",
                [](const Scene&) {
                  const long fd = syscall(SYS_memfd_secret, 0);
                  return fd < 0 && errno == ENOSYS ? Within(false) : Result(fd);
                }),
      Interface("barriers of the process",
                [](const Scene&) { return Result(syscall(SYS_membarrier, 16, 0)); }),
      Interface("locked memory", [](const Scene&) { return Result(mlock(Page(), 4096)); }),
      Interface("all memory locked", [](const Scene&) { return Result(mlockall(MCL_FUTURE)); }),
      Interface("huge pages",
                [](const Scene&) { return Result(madvise(Page(), 4096, MADV_HUGEPAGE)); }),
      Interface("memory put aside",
                [](const Scene&) {
                  return Within(madvise(Page(), 4096, MADV_PAGEOUT) == 0 ||
                                madvise(Page(), 4096, MADV_COLD) == 0);
                }),
      Interface("memory made equal",
                [](const Scene&) { return Result(madvise(Page(), 4096, MADV_MERGEABLE)); }),
      Interface("sealed memory",
                [](const Scene&) { return Result(syscall(kMseal, Page(), 4096, 0)); }),
      Interface("memory in another order",
                [](const Scene&) {
                  void* const shared = mmap(nullptr, 8192, PROT_READ | PROT_WRITE,
                                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
                  return Result(syscall(SYS_remap_file_pages, shared, 4096, 0, 1, 0));
                }),
      Interface("keys of memory",
                [](const Scene&) {
                  const long key = syscall(SYS_pkey_alloc, 0, 0);
                  return key < 0 && (errno == ENOSPC || errno == EINVAL) ? kSucceeded : Result(key);
                }),
      Interface("shadow stacks",
                [](const Scene&) {
                  const long stack = syscall(kMapShadowStack, 0, 4096, 0);
                  return stack < 0 && errno == EOPNOTSUPP ? kSucceeded : Result(stack);
                }),
      Interface("page cache of a file",
                [](const Scene&) {
                  unsigned char there;
                  return Result(mincore(Page(), 4096, &there));
                }),
      Interface("page cache of a range",
                [](const Scene&) {
                  const uint64_t range[2] = {0, 1};
                  uint64_t found[5];
                  return Result(syscall(kCachestat, 0, range, found, 0));
                }),
      Interface("memory nodes",
                [](const Scene&) {
                  int mode;
                  return Result(syscall(SYS_get_mempolicy, &mode, nullptr, 0, nullptr, 0));
                }),
      Interface(
          "policy of memory",
          [](const Scene&) { return Result(syscall(SYS_mbind, Page(), 4096, 0, nullptr, 0, 0)); }),
      Interface("moving pages",
                [](const Scene&) {
                  return Result(syscall(SYS_move_pages, 0, 0, nullptr, nullptr, nullptr, 0));
                }),
      Interface("waiting futex vectors",
                [](const Scene&) {
                  syscall(kFutexWaitVector, nullptr, 0, 0, 0, 0);
                  return errno == EINVAL ? kSucceeded : ErrnoName(errno);
                }),
      Interface("futexes with inheritance",
                [](const Scene&) {
                  uint32_t word = 0;
                  return Result(syscall(SYS_futex, &word, 6, 0, nullptr, nullptr, 0));
                }),
      Interface("pages of a process in a pipe",
                [](const Scene&) {
                  int ends[2];
                  if (pipe(ends) != 0) return Within(false);
                  iovec part = {Page(), 4096};
                  return Result(vmsplice(ends[1], &part, 1, 0));
                }),
  };
}

}  // namespace capbroker::hostile
