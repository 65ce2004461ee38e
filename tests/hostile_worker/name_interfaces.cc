#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <initializer_list>

#include "tests/hostile_worker/interface_probes.h"

namespace capbroker::hostile {
namespace {

// Any of them can be opened.
std::string Opens(std::initializer_list<const char*> paths) {
  std::string refusal;
  for (const char* path : paths) {
    if (open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY) >= 0) return kSucceeded;
    if (refusal.empty()) refusal = ErrnoName(errno);
  }
  return refusal;
}

constexpr int kTypes[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_RAW, SOCK_RDM};

// Of all families but those that have probes of their own.
std::string OtherSockets(const Scene&) {
  for (int family = 0; family < 64; ++family) {
    if (family == AF_UNIX || family == AF_INET || family == AF_INET6) continue;
    for (const int type : kTypes) {
      for (const int protocol : {0, 1, 3, 16}) {
        if (socket(family, type, protocol) >= 0) return kSucceeded;
      }
    }
  }
  return Within(false);
}

std::string Sockets(std::initializer_list<int> families, std::initializer_list<int> types,
                    std::initializer_list<int> protocols) {
  for (const int family : families) {
    for (const int type : types) {
      for (const int protocol : protocols) {
        if (socket(family, type, protocol) >= 0) return kSucceeded;
      }
    }
  }
  return ErrnoName(errno);
}

}  // namespace

std::vector<Attack> NameInterfaces() {
  return {
      Interface("itself in /proc",
                [](const Scene&) {
                  return Opens({"/proc/self/status", "/proc/self/maps", "/proc/self/environ",
                                "/proc/self/mem", "/proc/self/fd", "/proc/self/ns/net",
                                "/proc/self/mountinfo", "/proc/self/cgroup", "/proc/self/limits",
                                "/proc/self/auxv", "/proc/self/pagemap", "/proc/self/exe",
                                "/proc/thread-self/comm", "/proc/self/attr/current"});
                }),
      Interface("others in /proc",
                [](const Scene&) {
                  return Opens({"/proc", "/proc/1/status", "/proc/1/cmdline", "/proc/2/stat"});
                }),
      Interface("the machine in /proc",
                [](const Scene&) {
                  return Opens({"/proc/cpuinfo",      "/proc/meminfo",     "/proc/version",
                                "/proc/cmdline",      "/proc/uptime",      "/proc/loadavg",
                                "/proc/stat",         "/proc/interrupts",  "/proc/mounts",
                                "/proc/kallsyms",     "/proc/modules",     "/proc/keys",
                                "/proc/filesystems",  "/proc/devices",     "/proc/vmstat",
                                "/proc/slabinfo",     "/proc/kcore",       "/proc/timer_list",
                                "/proc/pressure/cpu", "/proc/sysvipc/shm", "/proc/locks"});
                }),
      Interface("the network in /proc",
                [](const Scene&) {
                  return Opens({"/proc/net/tcp", "/proc/net/unix", "/proc/net/dev",
                                "/proc/self/net/route", "/proc/net/arp"});
                }),
      Interface("settings of the kernel",
                [](const Scene&) {
                  return Opens({"/proc/sys/kernel/hostname", "/proc/sys/kernel/random/boot_id",
                                "/proc/sys/kernel/osrelease", "/proc/sys/vm/overcommit_memory",
                                "/proc/sys/fs/file-nr", "/proc/sys/net/core/somaxconn",
                                "/proc/sys/kernel/core_pattern"});
                }),
      Interface("sysfs",
                [](const Scene&) {
                  return Opens({"/sys", "/sys/class/net", "/sys/devices/system/cpu/online",
                                "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/block",
                                "/sys/kernel/security/lsm", "/sys/kernel/debug",
                                "/sys/kernel/tracing", "/sys/fs/bpf", "/sys/power/state"});
                }),
      Interface("control groups", [](const Scene&) { return Opens({"/sys/fs/cgroup"}); }),
      Interface("devices",
                [](const Scene&) {
                  return Opens({"/dev", "/dev/tty", "/dev/ptmx", "/dev/pts", "/dev/kmsg",
                                "/dev/mem", "/dev/fuse", "/dev/shm", "/dev/net/tun", "/dev/kvm",
                                "/dev/loop-control", "/dev/console", "/dev/vda", "/dev/fd",
                                "/dev/userfaultfd", "/dev/mqueue", "/dev/log"});
                }),
      Interface("devices that hold nothing",
                [](const Scene&) {
                  return Opens({"/dev/null", "/dev/zero", "/dev/urandom"});
                }),
      Interface("configuration of the host",
                [](const Scene&) {
                  return Opens({"/etc", "/etc/passwd", "/etc/hosts", "/etc/resolv.conf",
                                "/etc/hostname", "/etc/machine-id", "/etc/shadow", "/etc/fstab"});
                }),
      Interface("files of users and daemons",
                [](const Scene&) {
                  return Opens({"/", "/root", "/home", "/tmp", "/var", "/var/log", "/run", "/srv",
                                "/boot", "/mnt", "/opt", "."});
                }),
      Interface("programs of the host",
                [](const Scene&) {
                  return Opens({"/bin/sh", "/usr/bin", "/usr/bin/true", "/sbin"});
                }),
      Interface("libraries of the host",
                [](const Scene&) {
                  return Opens({"/usr/lib/os-release", "/lib64/ld-linux-x86-64.so.2"});
                }),
      Interface("metadata by name",
                [](const Scene&) {
                  struct stat status;
                  return Within(stat("/etc/passwd", &status) == 0 || stat("/root", &status) == 0 ||
                                lstat("/proc/1", &status) == 0);
                }),
      Interface("file systems by name",
                [](const Scene&) {
                  struct statfs status;
                  return Result(statfs("/", &status));
                }),
      Interface("attributes by name",
                [](const Scene&) { return Result(listxattr("/", nullptr, 0)); }),
      Interface("TCP sockets",
                [](const Scene&) {
                  return Sockets({AF_INET, AF_INET6}, {SOCK_STREAM}, {0, 6});
                }),
      Interface("other TCP-like sockets",
                [](const Scene&) {
                  return Sockets({AF_INET, AF_INET6}, {SOCK_STREAM, SOCK_SEQPACKET},
                                 {132 /* SCTP */, 262 /* MPTCP */});
                }),
      Interface("UDP and raw sockets",
                [](const Scene&) {
                  return Sockets({AF_INET, AF_INET6}, {SOCK_DGRAM, SOCK_RAW},
                                 {0, 1 /* ICMP */, 17, 58, 136 /* UDP-Lite */, 255});
                }),
      Interface("local stream sockets",
                [](const Scene&) { return Sockets({AF_UNIX}, {SOCK_STREAM}, {0}); }),
      Interface("local packet sockets",
                [](const Scene&) {
                  return Sockets({AF_UNIX}, {SOCK_DGRAM, SOCK_SEQPACKET, SOCK_RAW}, {0});
                }),
      Interface("pairs of sockets",
                [](const Scene&) {
                  int pair[2];
                  return Within(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 ||
                                socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
                }),
      Interface("pairs of datagram sockets",
                [](const Scene&) {
                  int pair[2];
                  return Result(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
                }),
      Interface("sockets of other families", OtherSockets),
      Interface("message queues",
                [](const Scene&) {
                  return Result(mq_open("/interface", O_CREAT | O_RDWR, 0600, nullptr));
                }),
      Interface("shared memory of System V",
                [](const Scene&) { return Result(shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600)); }),
      Interface("semaphores of System V",
                [](const Scene&) { return Result(semget(IPC_PRIVATE, 1, IPC_CREAT | 0600)); }),
      Interface("messages of System V",
                [](const Scene&) { return Result(msgget(IPC_PRIVATE, IPC_CREAT | 0600)); }),
  };
}

}  // namespace capbroker::hostile
