#include "sandbox/policies/service_policy.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/prctl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "sandbox/policies/computing_rows.h"

namespace capbroker::sandbox {
namespace {

constexpr uint64_t kPrSetVma = 0x53564d41;
constexpr uint64_t kLargeFile = 0100000;  // O_LARGEFILE to the kernel; 0 in the headers
constexpr uint64_t kSocketFlags = SOCK_CLOEXEC | SOCK_NONBLOCK;

void AddProcessItself(Policy& p) {
  p.Add(On("exit", "exit_group", "restart_syscall").Always(Allow()).For("every program ends"));
  p.Add(On("getpid", "gettid", "getppid", "getpgrp", "getpgid", "getsid", "getuid", "geteuid",
           "getgid", "getegid", "getresuid", "getresgid", "getgroups", "capget", "getcwd", "uname",
           "sysinfo", "getcpu", "getrusage", "times", "getrlimit", "getpriority", "sched_yield",
           "sched_getaffinity", "sched_getparam", "sched_getscheduler", "sched_getattr",
           "sched_get_priority_max", "sched_get_priority_min", "sched_rr_get_interval", "getrandom",
           "wait4", "waitid")
            .Always(Allow())
            .For("what a process may know about itself and the machine"));
  p.Add(On("pidfd_send_signal").Always(Fail(EPERM)).For("any process can be opened"));
  p.Add(On("prlimit64")
            .When({Arg32(0).Is(0), Arg64(2).Is(0)}, Allow())
            .Otherwise(Fail(EPERM))
            .For("glibc reads its stack limit for each thread"));
  p.Add(
      On("prctl")
          .When({Arg32(0).IsOneOf({PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS,
                                   PR_GET_SECCOMP, PR_GET_TIMERSLACK, PR_CAPBSET_READ, kPrSetVma})},
                Allow())
          .When({Arg32(0).IsOneOf({PR_SET_SECCOMP, PR_SET_PTRACER, PR_SET_MM})}, Die())
          .Otherwise(Fail(EINVAL))
          .For("thread names, names of anonymous memory"));
  p.Add(On("clone")
            .When({Arg32(0).Is(kPthreadFlags)}, Allow())
            .Otherwise(Die())
            .For("pthread_create; a service is one process"));
  p.Add(On("mmap")
            .When({Arg64(2).HasOnly(PROT_READ | PROT_WRITE)}, Allow())
            .Otherwise(Fail(EPERM))
            .Often()
            .For("malloc, thread stacks, large messages; code is what the image has"));
}

void AddDescriptors(Policy& p) {
  p.Add(On("read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "lseek",
           "fstat", "fsync", "fdatasync", "fadvise64", "close", "close_range", "dup", "dup2",
           "dup3", "ftruncate", "fallocate", "flock")
            .Always(Allow())
            .For("what it opened itself, or was given by its holders"));
  p.Add(On("fcntl")
            .When({Arg32(1).IsOneOf({F_GETFL, F_GETFD, F_SETFD, F_DUPFD, F_DUPFD_CLOEXEC, F_GETLK,
                                     F_SETLK, F_SETLKW, 36 /* F_OFD_GETLK */, 37 /* F_OFD_SETLK */,
                                     38 /* F_OFD_SETLKW */, F_GETPIPE_SZ, F_SETPIPE_SZ, F_GET_SEALS,
                                     F_ADD_SEALS})},
                  Allow())
            .When({Arg32(1).Is(F_SETFL), Arg32(2).Lacks(O_ASYNC)}, Allow())
            .Otherwise(Fail(EPERM))
            .For("flags, seals and locks; a descriptor with an owner would send him signals"));
  p.Add(On("memfd_create").Always(Allow()).For("messages beyond 64 KiB"));
  p.Add(On("newfstatat")
            .Always(Allow())
            .For("fstat() of the C library: metadata of any path, which Landlock lets be seen"));
  p.Add(On("ioctl")
            .When({Arg32(1).IsOneOf({FIONREAD, FIONBIO, FIOCLEX, FIONCLEX, SIOCGIFINDEX})}, Allow())
            .Otherwise(Fail(ENOTTY))
            .For("sizes of what waits; the number of an interface, for scopes of addresses"));
  p.Add(On("copy_file_range", "sendfile", "splice", "tee", "vmsplice", "preadv2", "pwritev2")
            .Always(Fail(ENOSYS))
            .For("callers fall back to read and write"));
  p.Add(On("fchmod", "fchown", "fchmodat", "fchownat", "utimensat", "fsetxattr", "fremovexattr")
            .Always(Fail(EPERM))
            .For("no service changes whose a file is, or how it may be used"));
}

void AddFiles(Policy& p, const ServiceTable& table) {
  const Outcome reading = table.reads_files || table.serves_files ? Allow() : Fail(EACCES);
  const Outcome serving = table.serves_files ? Allow() : Fail(EACCES);
  constexpr uint64_t kReadFlags =
      O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_DIRECTORY | O_PATH | kLargeFile;
  p.Add(On("openat")
            .When({Arg32(2).HasOnly(kReadFlags)}, reading)
            .Otherwise(serving)
            .For("configuration, granted files: which ones is Landlock's to say"));
  p.Add(On("open")
            .When({Arg32(1).HasOnly(kReadFlags)}, reading)
            .Otherwise(serving)
            .For("the same, by older callers"));
  p.Add(On("openat2")
            .Always(table.serves_files ? Allow() : Fail(ENOSYS))
            .For("walking beneath what is granted; its flags are in memory"));
  p.Add(On("stat", "lstat", "statx", "access", "faccessat", "faccessat2", "readlink", "readlinkat",
           "getdents64", "statfs", "fstatfs", "getxattr", "lgetxattr", "fgetxattr", "listxattr",
           "flistxattr")
            .Always(reading)
            .For("looking at what is opened, and at the way to it"));
  p.Add(
      On("unlinkat").Always(serving).For("a file whose creation cannot be told is removed again"));
  p.Add(On("creat", "mkdir", "mkdirat", "rmdir", "unlink", "rename", "renameat", "renameat2",
           "link", "linkat", "symlink", "symlinkat", "mknod", "mknodat", "truncate", "chmod",
           "chown", "lchown", "utime", "utimes", "futimesat", "chdir", "fchdir", "inotify_init",
           "inotify_init1", "inotify_add_watch", "inotify_rm_watch", "mq_open", "mq_unlink",
           "setxattr", "lsetxattr", "removexattr", "lremovexattr")
            .Always(Fail(EACCES))
            .For("changes by name: no service's"));
  p.Add(On("execve", "execveat").Always(Die()).For("code is what the image has"));
}

void AddConnected(Policy& p) {
  // Not MSG_FASTOPEN, which connects past Landlock's rule of ports.
  constexpr uint64_t kSendFlags = MSG_DONTWAIT | MSG_NOSIGNAL | MSG_EOR | MSG_MORE;
  p.Add(On("sendmsg")
            .When({Arg32(2).HasOnly(kSendFlags)}, Allow())
            .Otherwise(Fail(EINVAL))
            .Often()
            .For("lanes and wires"));
  p.Add(
      On("recvmsg", "recvfrom", "recvmmsg", "shutdown", "getsockname", "getpeername", "getsockopt")
          .Always(Allow())
          .For("lanes and wires"));
  p.Add(On("sendto")
            .When({Arg64(4).Is(0), Arg32(3).HasOnly(kSendFlags)}, Allow())
            .Otherwise(Fail(EACCES))
            .For("send(); an address names a peer"));
  p.Add(On("socketpair")
            .When({Arg32(0).Is(AF_UNIX)}, Allow())
            .Otherwise(Fail(EACCES))
            .For("lanes of clones, wires: sockets without a name"));
  p.Add(On("setsockopt")
            .When({Arg32(1).Is(SOL_SOCKET)}, Allow())
            .When({Arg32(1).IsOneOf({IPPROTO_TCP, IPPROTO_IP, IPPROTO_IPV6})}, Allow())
            .Otherwise(Fail(ENOPROTOOPT))
            .For("time limits of lanes, keepalive of leased connections, gRPC"));
}

void AddSockets(Policy& p, const ServiceTable& table) {
  const bool connects = table.tcp || table.udp || table.local_sockets;
  const Outcome tcp = table.tcp || table.tcp_servers ? Allow() : Fail(EACCES);
  const Outcome udp = table.udp ? Allow() : Fail(EACCES);
  const auto type = Arg32(1).Ignoring(kSocketFlags);
  p.Add(On("socket")
            // By number of protocol: MPTCP, for one, passes by Landlock's rule of ports.
            .When({Arg32(0).IsOneOf({AF_INET, AF_INET6}), type.Is(SOCK_STREAM),
                   Arg32(2).IsOneOf({0, IPPROTO_TCP})},
                  tcp)
            .When({Arg32(0).IsOneOf({AF_INET, AF_INET6}), type.Is(SOCK_DGRAM),
                   Arg32(2).IsOneOf({0, IPPROTO_UDP})},
                  udp)
            .When({Arg32(0).Is(AF_UNIX)}, table.local_sockets ? Allow() : Fail(EACCES))
            .When({Arg32(0).Is(AF_NETLINK), Arg32(2).Is(NETLINK_ROUTE)},
                  table.routes ? Allow() : Fail(EACCES))
            .Otherwise(Fail(EACCES))
            .For("name servers, other machines, daemons behind modules of the C library"));
  p.Add(On("connect")
            .Always(connects ? Allow() : Fail(EACCES))
            .For("which port is Landlock's to say"));
  p.Add(On("bind")
            .Always(table.routes || table.tcp_servers ? Allow() : Fail(EACCES))
            .For("servers; the C library binds its netlink socket; ports are Landlock's"));
  p.Add(
      On("sendmmsg")
          .When({Arg32(3).HasOnly(MSG_DONTWAIT | MSG_NOSIGNAL)}, table.udp ? Allow() : Fail(EACCES))
          .Otherwise(Fail(EINVAL))
          .For("several datagrams at once"));
  p.Add(On("listen")
            .Always(table.tcp_servers ? Allow() : Fail(EACCES))
            .For("servers, which are their holders'"));
  p.Add(On("accept", "accept4").Always(Fail(EACCES)).For("services are not reached so"));
}

// `policy` with `calls` allowed instead of what it says of them.
Policy Allowing(const Policy& policy, const std::vector<std::string>& calls) {
  if (calls.empty()) return policy;
  Policy more;
  for (const Row& row : policy.rows()) {
    std::vector<std::string> left;
    for (const std::string& call : row.calls()) {
      if (std::find(calls.begin(), calls.end(), call) == calls.end()) left.push_back(call);
    }
    if (left.empty()) continue;
    Row rest(std::move(left));
    for (const Clause& clause : row.clauses()) {
      rest = std::move(rest).When(clause.all_of, clause.outcome);
    }
    rest = std::move(rest).Otherwise(*row.otherwise()).For(row.reason());
    more.Add(row.often() ? std::move(rest).Often() : std::move(rest));
  }
  more.Add(Row(calls).Always(Allow()).For("declared by the service"));
  return more;
}

}  // namespace

Policy ServicePolicy(const ServiceTable& table) {
  Policy p;
  AddProcessItself(p);
  AddComputing(p, {});
  AddOneProcess(p);
  AddDescriptors(p);
  AddFiles(p, table);
  AddConnected(p);
  AddSockets(p, table);
  return Allowing(p, table.more_calls);
}

}  // namespace capbroker::sandbox
