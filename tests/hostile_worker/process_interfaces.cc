#include <linux/capability.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "tests/hostile_worker/interface_probes.h"

namespace capbroker::hostile {
namespace {

// Of Linux 6.x, newer than the headers that this may be built with.
constexpr int kPrGetAuxiliaryVector = 0x41555856, kPrSchedCore = 62;
constexpr int kPrSetSyscallUserDispatch = 59, kPrSetMdwe = 65;
constexpr int kArchGetGs = 0x1004, kArchGetCpuid = 0x1011, kArchGetXcompSupported = 0x1021;

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

// As the C library makes it, which asks first whether there is such a process.
std::string TimerOfOthers(const Scene& scene) {
  const auto clock = static_cast<clockid_t>(~static_cast<unsigned>(scene.bystander) << 3 | 2);
  timespec used;
  return FirstRefusal({Result(clock_getres(clock, &used)), Result(clock_gettime(clock, &used))});
}

std::string SchedulingOfOthers(const Scene& scene) {
  sched_param parameters;
  timespec slice;
  char attributes[64] = {};
  const bool any = sched_getscheduler(scene.bystander) >= 0 ||
                   sched_getparam(scene.bystander, &parameters) == 0 ||
                   sched_rr_get_interval(scene.bystander, &slice) == 0 ||
                   syscall(SYS_sched_getattr, scene.bystander, attributes, 48, 0) == 0;
  return Within(any);
}

}  // namespace

std::vector<Attack> ProcessInterfaces() {
  return {
      Interface("inherited descriptors", InheritedDescriptors),
      Interface("environment",
                [](const Scene&) { return Within(environ != nullptr && *environ != nullptr); }),
      Interface("other processes", ProcessesVisible),
      Interface("capabilities of other processes", CapabilitiesOfOthers),
      Interface("CPU time of other processes", CpuTimeOfOthers),
      Interface("clocks of other processes", TimerOfOthers),
      Interface("CPUs of other processes",
                [](const Scene& scene) {
                  cpu_set_t cpus;
                  return Result(sched_getaffinity(scene.bystander, sizeof cpus, &cpus));
                }),
      Interface("scheduling of other processes", SchedulingOfOthers),
      Interface("I/O priority of other processes",
                [](const Scene& scene) {
                  return Result(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, scene.bystander));
                }),
      Interface("priority of users",
                [](const Scene&) { return Result(getpriority(PRIO_USER, 0) < 0 ? -1 : 0); }),
      Interface("limits of other processes",
                [](const Scene& scene) {
                  rlimit limit;
                  return Result(prlimit(scene.bystander, RLIMIT_CPU, nullptr, &limit));
                }),
      Interface("robust lists of others",
                [](const Scene& scene) {
                  void* head;
                  size_t size;
                  return Result(syscall(SYS_get_robust_list, scene.bystander, &head, &size));
                }),
      Interface("scheduling together",
                [](const Scene&) {
                  uint64_t cookie = 0;
                  return Result(prctl(kPrSchedCore, 0, 0, 0, &cookie));
                }),
      Interface("CPUs of its own",
                [](const Scene&) {
                  cpu_set_t cpus;
                  CPU_ZERO(&cpus);
                  sched_getaffinity(0, sizeof cpus, &cpus);
                  return Result(sched_setaffinity(0, sizeof cpus, &cpus));
                }),
      Interface("I/O priority", [](const Scene&) { return Result(syscall(SYS_ioprio_get, 1, 0)); }),
      Interface("speculation settings",
                [](const Scene&) { return Result(prctl(PR_GET_SPECULATION_CTRL, 0, 0, 0, 0)); }),
      Interface("subreaper",
                [](const Scene&) {
                  int set;
                  return Result(prctl(PR_GET_CHILD_SUBREAPER, &set, 0, 0, 0));
                }),
      Interface("timer slack",
                [](const Scene&) { return Result(prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)); }),
      Interface("machine checks",
                [](const Scene&) { return Result(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0)); }),
      Interface("time stamp counter",
                [](const Scene&) {
                  int mode;
                  return Result(prctl(PR_GET_TSC, &mode, 0, 0, 0));
                }),
      Interface("huge pages of the process",
                [](const Scene&) { return Result(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0)); }),
      Interface("auxiliary vector",
                [](const Scene&) {
                  char vector[512];
                  return Result(prctl(kPrGetAuxiliaryVector, vector, sizeof vector, 0, 0));
                }),
      Interface("dispatch of system calls",
                [](const Scene&) { return Result(prctl(kPrSetSyscallUserDispatch, 0, 0, 0, 0)); }),
      Interface("denial of executable memory",
                [](const Scene&) { return Result(prctl(kPrSetMdwe, 1, 0, 0, 0)); }),
      Interface("who may trace it",
                [](const Scene&) { return Result(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)); }),
      Interface("address of a thread's end",
                [](const Scene&) {
                  void* address;
                  return Result(prctl(PR_GET_TID_ADDRESS, &address, 0, 0, 0));
                }),
#ifdef __x86_64__
      Interface("segment registers",
                [](const Scene&) {
                  uint64_t base;
                  return Result(syscall(SYS_arch_prctl, kArchGetGs, &base));
                }),
      Interface("faults of CPUID",
                [](const Scene&) { return Result(syscall(SYS_arch_prctl, kArchGetCpuid, 0)); }),
      Interface("extended registers",
                [](const Scene&) {
                  uint64_t features;
                  return Result(syscall(SYS_arch_prctl, kArchGetXcompSupported, &features));
                }),
#endif
  };
}

}  // namespace capbroker::hostile
