#include "tests/hostile_worker/interfaces.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <string>

namespace capbroker::hostile {
namespace {

std::string Within(bool reached) { return reached ? kSucceeded : "out of reach"; }

// More descriptors than the three standard ones and those of a worker's birth.
std::string InheritedDescriptors(const Scene&) {
  struct stat status;
  for (int fd = 3; fd < 1024; ++fd) {
    if (fstat(fd, &status) == 0) return kSucceeded;
  }
  return Within(false);
}

std::string ProcessesVisible(const Scene&) {
  const pid_t self = getpid();
  for (pid_t pid = 1; pid < 70000; ++pid) {
    if (pid != self && pid != getppid() && (kill(pid, 0) == 0 || getpgid(pid) >= 0)) {
      return kSucceeded;
    }
  }
  return Within(false);
}

std::string HostName(const Scene&) {
  utsname name;
  return Within(uname(&name) == 0 && strcmp(name.nodename, "worker") != 0);
}

std::string CapabilitiesOfOthers(const Scene& scene) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, scene.bystander};
  __user_cap_data_struct data[2];
  return Result(syscall(SYS_capget, &header, data));
}

std::string CpuTimeOfOthers(const Scene& scene) {
  clockid_t clock;
  timespec used;
  if (clock_getcpuclockid(scene.bystander, &clock) != 0) return Within(false);
  return Result(clock_gettime(clock, &used));
}

// System calls with arguments for which an unconfined process gets no error.
long Page() {
  return reinterpret_cast<long>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

std::vector<Attack> Make() {
  const auto on = [](const char* name, std::string (*run)(const Scene&)) {
    return Attack{.name = std::string("interface ") + name, .run = run};
  };
  return {
      on("inherited descriptors", InheritedDescriptors),
      on("environment",
         [](const Scene&) { return Within(environ != nullptr && *environ != nullptr); }),
      on("other processes", ProcessesVisible),
      on("capabilities of other processes", CapabilitiesOfOthers),
      on("CPU time of other processes", CpuTimeOfOthers),
      on("CPUs of other processes",
         [](const Scene& scene) {
           cpu_set_t cpus;
           return Result(sched_getaffinity(scene.bystander, sizeof cpus, &cpus));
         }),
      on("scheduling of other processes",
         [](const Scene& scene) { return Result(sched_getscheduler(scene.bystander)); }),
      on("name of the host", HostName),
      on("memory and load of the machine",
         [](const Scene&) {
           struct sysinfo info;
           return Result(sysinfo(&info));
         }),
      on("process of a peer",
         [](const Scene& scene) {
           ucred peer = {};
           socklen_t size = sizeof peer;
           const int result = getsockopt(2, SOL_SOCKET, SO_PEERCRED, &peer, &size);
           return Within(result == 0 && peer.pid == scene.application);
         }),
      on("security label of a peer",
         [](const Scene&) {
           char label[100];
           socklen_t size = sizeof label;
           return Result(getsockopt(2, SOL_SOCKET, SO_PEERSEC, label, &size));
         }),
      on("statistics of a TCP connection",
         [](const Scene&) {
           char info[200];
           socklen_t size = sizeof info;
           return Result(getsockopt(TakeSmuggled().tcp, 6, 11, info, &size));
         }),
      on("POSIX timers",
         [](const Scene&) {
           timer_t timer;
           sigevent event = {};
           event.sigev_notify = SIGEV_NONE;
           return Result(timer_create(CLOCK_MONOTONIC, &event, &timer));
         }),
      on("timer descriptors",
         [](const Scene&) { return Result(timerfd_create(CLOCK_MONOTONIC, 0)); }),
      on("alarms of the machine",
         [](const Scene&) { return Result(timerfd_create(CLOCK_BOOTTIME_ALARM, 0)); }),
      on("signal descriptors",
         [](const Scene&) {
           sigset_t set;
           sigemptyset(&set);
           return Result(signalfd(-1, &set, 0));
         }),
      on("event descriptors", [](const Scene&) { return Result(eventfd(0, 0)); }),
      on("epoll", [](const Scene&) { return Result(epoll_create1(0)); }),
      on("pipes",
         [](const Scene&) {
           int ends[2];
           return Result(pipe(ends));
         }),
      on("packet pipes",
         [](const Scene&) {
           int ends[2];
           return Result(pipe2(ends, O_DIRECT));
         }),
      on("files in memory",
         [](const Scene&) { return Result(static_cast<long>(memfd_create("x", 0))); }),
      on("barriers of the process",
         [](const Scene&) { return Result(syscall(SYS_membarrier, 16, 0)); }),
      on("locked memory",
         [](const Scene&) { return Result(mlock(reinterpret_cast<void*>(Page()), 4096)); }),
      on("huge pages",
         [](const Scene&) {
           return Result(madvise(reinterpret_cast<void*>(Page()), 4096, MADV_HUGEPAGE));
         }),
      on("page cache of a file",
         [](const Scene&) {
           unsigned char there;
           return Result(mincore(reinterpret_cast<void*>(Page()), 4096, &there));
         }),
      on("asynchronous reading",
         [](const Scene&) { return Result(syscall(SYS_readahead, 0, 0, 1)); }),
      on("vectors with flags",
         [](const Scene&) {
           char byte;
           iovec part = {&byte, 1};
           return Result(syscall(SYS_preadv2, 0, &part, 1, 0, 0, 0));
         }),
      on("waiting futex vectors",
         [](const Scene&) { return Result(syscall(449, nullptr, 0, 0, 0, 0)); }),
      on("robust lists of others",
         [](const Scene& scene) {
           void* head;
           size_t size;
           return Result(syscall(SYS_get_robust_list, scene.bystander, &head, &size));
         }),
      on("memory nodes",
         [](const Scene&) {
           int mode;
           return Result(syscall(SYS_get_mempolicy, &mode, nullptr, 0, nullptr, 0));
         }),
      on("moving pages",
         [](const Scene&) {
           return Result(syscall(SYS_move_pages, 0, 0, nullptr, nullptr, nullptr, 0));
         }),
      on("I/O priority", [](const Scene&) { return Result(syscall(SYS_ioprio_get, 1, 0)); }),
      on("queue of a terminal",
         [](const Scene&) {
           int bytes;
           return Result(ioctl(TakeSmuggled().terminal, TIOCOUTQ, &bytes));
         }),
      on("size of a terminal",
         [](const Scene&) {
           winsize size;
           return Result(ioctl(TakeSmuggled().terminal, TIOCGWINSZ, &size));
         }),
      on("owner of a descriptor", [](const Scene&) { return Result(fcntl(2, F_GETOWN)); }),
      on("leases", [](const Scene&) { return Result(fcntl(0, F_GETLEASE)); }),
      on("hints of a file",
         [](const Scene&) {
           uint64_t hint;
           return Result(fcntl(0, F_GET_RW_HINT, &hint));
         }),
      on("file system of a descriptor",
         [](const Scene&) {
           char status[200];
           return Result(syscall(SYS_fstatfs, 0, status));
         }),
      on("attributes of a descriptor",
         [](const Scene&) { return Result(syscall(SYS_flistxattr, 0, nullptr, 0)); }),
      on("speculation settings",
         [](const Scene&) { return Result(prctl(PR_GET_SPECULATION_CTRL, 0, 0, 0, 0)); }),
      on("subreaper",
         [](const Scene&) {
           int set;
           return Result(prctl(PR_GET_CHILD_SUBREAPER, &set, 0, 0, 0));
         }),
      on("timer slack", [](const Scene&) { return Result(prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)); }),
      on("security modules",
         [](const Scene&) {
           uint64_t ids[8];
           uint32_t size = sizeof ids;
           return Result(syscall(461, ids, &size, 0));
         }),
      on("writing everything back", [](const Scene&) { return Result(syscall(SYS_syncfs, 0)); }),
  };
}

}  // namespace

const std::vector<Attack>& AllInterfaces() {
  static const auto* const interfaces = new std::vector<Attack>(Make());
  return *interfaces;
}

}  // namespace capbroker::hostile
