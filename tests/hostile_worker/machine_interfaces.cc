#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "tests/hostile_worker/interface_probes.h"

namespace capbroker::hostile {
namespace {

constexpr int kListModules = 461;  // lsm_list_modules, of Linux 6.8

std::string HostName(const Scene&) {
  utsname name;
  return Within(uname(&name) == 0 && strcmp(name.nodename, "worker") != 0);
}

}  // namespace

std::vector<Attack> MachineInterfaces() {
  return {
      Interface("name of the host", HostName),
      Interface("version of the kernel",
                [](const Scene&) {
                  utsname name;
                  return Result(uname(&name));
                }),
      Interface("memory and load of the machine",
                [](const Scene&) {
                  struct sysinfo info;
                  return Result(sysinfo(&info));
                }),
      Interface("CPUs of the machine",
                [](const Scene&) {
                  cpu_set_t cpus;
                  return Result(sched_getaffinity(0, sizeof cpus, &cpus));
                }),
      Interface("discipline of the clock",
                [](const Scene&) {
                  timex state = {};
                  return Result(adjtimex(&state));
                }),
      Interface("log of the kernel", [](const Scene&) { return Result(klogctl(10, nullptr, 0)); }),
      Interface("security modules",
                [](const Scene&) {
                  uint64_t ids[8];
                  uint32_t size = sizeof ids;
                  return Result(syscall(kListModules, ids, &size, 0));
                }),
      Interface("kinds of file systems",
                [](const Scene&) { return Result(syscall(SYS_sysfs, 3)); }),
  };
}

}  // namespace capbroker::hostile
