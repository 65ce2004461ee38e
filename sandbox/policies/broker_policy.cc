#include "sandbox/policies/broker_policy.h"

#include <fcntl.h>
#include <linux/prctl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cerrno>

#include "sandbox/policies/computing_rows.h"

namespace capbroker::sandbox {

Policy BrokerPolicy() {
  Policy p;
  AddComputing(p, {});
  AddOneProcess(p);
  p.Add(On("exit", "exit_group", "restart_syscall").Always(Allow()).For("every program ends"));
  p.Add(On("getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getrusage",
           "uname", "sysinfo", "getcpu", "sched_yield", "sched_getaffinity", "getrandom")
            .Always(Allow())
            .For("what a process may know about itself"));
  p.Add(On("prlimit64")
            .When({Arg32(0).Is(0), Arg64(2).Is(0)}, Allow())
            .Otherwise(Fail(EPERM))
            .For("its limits are what they are"));
  p.Add(On("prctl")
            .When({Arg32(0).Is(0x53564d41 /* PR_SET_VMA */)}, Allow())
            .Otherwise(Fail(EINVAL))
            .For("names of anonymous memory"));
  p.Add(
      On("waitid", "wait4").Always(Allow()).For("the zygote, and children whose zygote has died"));
  p.Add(On("pidfd_send_signal").Always(Allow()).For("ends processes that it was given"));
  p.Add(On("mmap")
            .When({Arg64(2).HasOnly(PROT_READ | PROT_WRITE)}, Allow())
            .Otherwise(Fail(EPERM))
            .Often()
            .For("malloc, large messages; code is what the image has"));
  p.Add(On("read", "write", "readv", "writev", "pread64", "pwrite64", "lseek", "fstat", "fstatfs",
           "close", "dup", "dup2", "dup3", "ftruncate", "memfd_create")
            .Always(Allow())
            .For("lanes, memory of large messages, the log"));
  p.Add(On("getdents64").Always(Allow()).For("the number of its descriptors"));
  p.Add(On("newfstatat").Always(Allow()).For("fstat() of the C library"));
  p.Add(On("fcntl")
            .When({Arg32(1).IsOneOf({F_GETFL, F_GETFD, F_SETFD, F_DUPFD, F_DUPFD_CLOEXEC,
                                     F_GET_SEALS, F_ADD_SEALS})},
                  Allow())
            .When({Arg32(1).IsOneOf({F_SETOWN, F_SETSIG})}, Die())
            .When({Arg32(1).Is(F_SETFL), Arg32(2).Lacks(O_ASYNC)}, Allow())
            .Otherwise(Fail(EPERM))
            .For("duplicates of service ends, seals"));
  p.Add(On("socketpair")
            .When({Arg32(0).Is(AF_UNIX)}, Allow())
            .Otherwise(Die())
            .For("lanes, lifelines"));
  p.Add(On("sendmsg", "sendto", "recvmsg", "recvfrom", "shutdown", "getsockopt", "getsockname",
           "getpeername")
            .Always(Allow())
            .For("lanes: it has no other sockets"));
  p.Add(On("setsockopt")
            .When({Arg32(1).Is(SOL_SOCKET)}, Allow())
            .Otherwise(Die())
            .For("what may travel on a lane"));
  p.Add(On("open", "openat", "access", "readlink", "readlinkat", "stat", "statx")
            .Always(Fail(EACCES))
            .For("libraries probe"));
  return p;
}

}  // namespace capbroker::sandbox
