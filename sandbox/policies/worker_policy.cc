#include "sandbox/policies/worker_policy.h"

#include <fcntl.h>
#include <linux/prctl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cerrno>
#include <vector>

#include "sandbox/policies/computing_rows.h"
#include "sandbox/supervisor/capability_errno.h"

namespace capbroker::sandbox {
namespace {

// Newer than the headers that this may be built with.
constexpr uint64_t kMfdCloexec = 0x1, kMfdAllowSealing = 0x2, kMfdNoexecSeal = 0x8;
constexpr uint64_t kPrSetVma = 0x53564d41;
constexpr uint64_t kPrGetMdwe = 66;
constexpr uint64_t kArchSetFs = 0x1002, kArchGetFs = 0x1003;
constexpr uint64_t kHere = static_cast<uint32_t>(AT_FDCWD);
constexpr uint64_t kLargeFile = 0100000;  // O_LARGEFILE to the kernel; 0 in the headers

constexpr uint64_t kThreadOnlyFlags =
    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
// What C libraries' fork() and posix_spawn() ask for.
constexpr uint64_t kForkFlags =
    CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | CLONE_PARENT_SETTID | SIGCHLD;
constexpr uint64_t kSpawnFlags = CLONE_VM | CLONE_VFORK | SIGCHLD;
constexpr uint64_t kNamespaceFlags = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                     CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

void AddProcessItself(Policy& p, const WorkerTable& table) {
  const bool executed = table.kind == WorkerTable::Kind::kExecuted;
  p.Add(On("exit", "exit_group", "restart_syscall").Always(Allow()).For("every program ends"));
  p.Add(On("getpid", "gettid", "getppid", "getpgrp", "getuid", "geteuid", "getgid", "getegid",
           "getresuid", "getresgid", "getgroups")
            .Always(Allow())
            .For("what a process may know about itself"));
  p.Add(On("capget")
            .Always(table.has_own_pids ? Allow() : Fail(EPERM))
            .For("the same; whom it asks about is in memory"));
  p.Add(On("getpgid", "getsid")
            .When({Arg32(0).Is(0)}, Allow())
            .When({Arg32(0).Is(Parameter::kWorkerPid)}, Allow())
            .Otherwise(table.processes ? Allow() : Fail(EPERM))
            .For("the same; without a PID namespace they would tell of anybody"));
  p.Add(On("getpriority")
            .When({Arg32(0).Is(PRIO_PROCESS), Arg32(1).Is(0)}, Allow())
            .When({Arg32(0).Is(PRIO_PROCESS)}, table.processes ? Allow() : Fail(EPERM))
            .Otherwise(Fail(EPERM))
            .For("the same"));
  p.Add(
      On("uname")
          .Always(table.supervised && !table.has_own_host_name ? Ask() : Allow())
          .For("the kernel's version, and a name that is the host's only where nothing else can be "
               "said"));
  p.Add(On("sysinfo", "getcpu", "getrusage", "times", "getrlimit", "sched_yield",
           "sched_get_priority_max", "sched_get_priority_min")
            .Always(Allow())
            .For("Abseil and gRPC ask for the size of memory"));
  p.Add(On("sched_getaffinity", "sched_getparam", "sched_getscheduler", "sched_getattr",
           "sched_rr_get_interval")
            .When({Arg32(0).Is(0)}, Allow())
            .When({Arg32(0).Is(Parameter::kWorkerPid)}, Allow())
            // Of other threads of its own the C library goes on without.
            .Otherwise(table.has_own_pids ? Allow() : Fail(ENOSYS))
            .For("Abseil and gRPC ask for the number of CPUs"));
  p.Add(On("prlimit64")
            .When({Arg32(0).Is(0), Arg64(2).Is(0)}, Allow())
            .When({Arg32(0).Is(0), Arg32(1).Is(RLIMIT_NOFILE)}, Allow())
            .Otherwise(Fail(EPERM))
            .For("glibc reads its stack limit; the start lowers the descriptor limit, "
                 "which nobody can raise without a capability"));
  p.Add(On("getrandom").Always(Allow()).For("hash seeds of Abseil, arc4random"));
  p.Add(On("wait4", "waitid").Always(Allow()).For("finds no child: ECHILD"));
  p.Add(On("personality")
            .When({Arg32(0).Is(0xffffffff)}, Allow())
            .Otherwise(Die())
            .For("a question is harmless; a change can make memory executable"));
  p.Add(On("prctl")
            .When({Arg32(0).IsOneOf({PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_GET_KEEPCAPS,
                                     PR_GET_NO_NEW_PRIVS, PR_GET_SECCOMP, PR_GET_SECUREBITS,
                                     PR_GET_PDEATHSIG, PR_GET_TIMERSLACK, PR_CAPBSET_READ,
                                     kPrGetMdwe, kPrSetVma})},
                  Allow())
            .When({Arg32(0).Is(PR_SET_DUMPABLE), Arg64(1).Is(0)},
                  // The supervisor could not read its calls any more.
                  table.supervised ? Fail(EPERM) : Allow())
            .When({Arg32(0).Is(PR_SET_NO_NEW_PRIVS), Arg64(1).Is(1)}, Allow())
            .When({Arg32(0).Is(PR_SET_PDEATHSIG)}, Fail(EPERM))
            .When({Arg32(0).IsOneOf({PR_SET_SECCOMP, PR_SET_PTRACER, PR_SET_MM})}, Die())
            .Otherwise(Fail(EINVAL))
            .For("thread names, names of anonymous memory; the death signal "
                 "belongs to the init"));
  p.Add(On("arch_prctl")
            .When({Arg32(0).Is(kArchGetFs)}, Allow())
            .When({Arg32(0).Is(kArchSetFs)}, executed ? Allow() : Fail(EINVAL))
            .Otherwise(Fail(EINVAL))
            .For("a C library's start; probes for shadow stacks fail softly"));
}

// Signals and processes beside the worker's own.
void AddOtherProcesses(Policy& p, const WorkerTable& table) {
  // INVARIANT(default-deny): with processes it is Landlock that names the others.
  p.Add(On("kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo")
            .When({Arg32(0).Is(Parameter::kWorkerPid)}, Allow())
            .Otherwise(table.processes && table.scopes_signals ? Allow() : Fail(EPERM))
            .For("abort(), raise(), pthread_kill(), a shell's children; nobody else can be named"));
  p.Add(On("tkill", "pidfd_send_signal")
            .Always(Fail(EPERM))
            .For("a bare thread id can be anybody's"));
  p.Add(On("fork", "vfork")
            .Always(table.processes ? Allow() : Fail(EPERM))
            .For("a worker is one process, unless it was granted more"));
  p.Add(On("setpgid", "setsid")
            .Always(table.processes ? Allow() : Fail(EPERM))
            .For("shells group what they start"));
}

// A supervised worker keeps the descriptor that says where its relative names start.
void AddClosing(Policy& p, const WorkerTable& table) {
  if (!table.supervised) {
    p.Add(On("close", "dup2", "dup3").Always(Allow()).For("descriptors of the process itself"));
    p.Add(On("close_range")
              .When({Arg32(2).HasOnly(4 /* CLOSE_RANGE_CLOEXEC */)}, Allow())
              .Otherwise(Fail(EINVAL))
              .For("libraries that tidy up"));
    return;
  }
  p.Add(On("close")
            .When({Arg32(0).Is(Parameter::kWorkingPlace)}, Fail(EBADF))
            .Otherwise(Allow())
            .Often()
            .For("descriptors of the process itself"));
  p.Add(On("dup2", "dup3")
            .When({Arg32(1).Is(Parameter::kWorkingPlace)}, Fail(EBADF))
            .Otherwise(Allow())
            .For("the same"));
  p.Add(On("close_range").Always(Fail(ENOSYS)).For("callers fall back to close"));
}

void AddDescriptors(Policy& p, const WorkerTable& table) {
  const bool asks = table.supervised && table.sight != DescriptorSight::kNone;
  p.Add(On("read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "lseek",
           "fstat", "fsync", "fdatasync", "dup")
            .Always(Allow())
            .For("what a granted descriptor's access mode allows"));
  p.Add(On("fadvise64", "readahead", "sync_file_range")
            .Always(Fail(ENOSYS))
            .For("hints, for which disks are made to work: programs do without"));
  AddClosing(p, table);
  // RWF_NOAPPEND writes into the middle of an append-only file.
  p.Add(On("preadv2", "pwritev2").Always(Fail(ENOSYS)).For("libc falls back to preadv, pwritev"));
  p.Add(On("fcntl")
            .When({Arg32(1).Is(F_SETFD), Arg32(0).Is(Parameter::kWorkingPlace)},
                  table.supervised ? Fail(EBADF) : Allow())
            .When({Arg32(1).IsOneOf(
                      {F_GETFL, F_GETFD, F_SETFD, F_DUPFD, F_DUPFD_CLOEXEC, F_GET_SEALS})},
                  Allow())
            // INVARIANT(default-deny): the flags of an open file are shared
            // with whoever else holds it, and O_APPEND is a right. gRPC insists
            // on setting O_NONBLOCK on its socket; whoever made the socket has
            // done so.
            .When({Arg32(1).Is(F_SETFL), Arg32(2).Has(O_NONBLOCK),
                   Arg32(2).HasOnly(O_ACCMODE | O_NONBLOCK | kLargeFile)},
                  asks ? Ask() : AnswerSuccess())
            // Programs put back what they have found.
            .When({Arg32(1).Is(F_SETFL)}, asks ? Ask() : Fail(EPERM))
            .When({Arg32(1).Is(F_ADD_SEALS)}, table.resizes_files ? Allow() : Fail(EPERM))
            .When({Arg32(1).IsOneOf({F_GETLK, F_SETLK, F_SETLKW, 36 /* F_OFD_GETLK */,
                                     37 /* F_OFD_SETLK */, 38 /* F_OFD_SETLKW */})},
                  table.supervised ? Allow() : Fail(ENOLCK))
            .Otherwise(Fail(EPERM))
            .Often()
            .For("duplicates and close-on-exec; a lock stops others who hold the file: only "
                 "where files were granted by name, to programs that share them by locks"));
  p.Add(On("flock").Always(table.supervised ? Allow() : Fail(EPERM)).For("the same"));
  p.Add(On("ioctl")
            .When({Arg32(1).IsOneOf({FIONREAD, FIOCLEX, FIONCLEX})}, Allow())
            // curl, Python: of the worker's own sockets.
            .When({Arg32(1).Is(FIONBIO)}, table.connects ? Ask() : Fail(ENOTTY))
            .Otherwise(Fail(ENOTTY))
            .For("isatty() asks with one; terminals and devices stay out of "
                 "reach"));
  p.Add(On("ftruncate", "fallocate")
            .Always(table.supervised      ? Ask()
                    : table.resizes_files ? Allow()
                                          : Fail(EPERM))
            .For("access modes do not express truncation: a descriptor that only appends would "
                 "do; a supervisor looks, Start::resizes_files accepts it"));
  if (table.resizes_files) {
    p.Add(On("memfd_create")
              .When({Arg32(1).Has(kMfdNoexecSeal),
                     Arg32(1).HasOnly(kMfdCloexec | kMfdAllowSealing | kMfdNoexecSeal)},
                    Allow())
              .Otherwise(Fail(EACCES))
              .For("Start::resizes_files; never a file that could be executed"));
  } else {
    p.Add(On("memfd_create").Always(Fail(EPERM)).For("rlimits do not count memfds"));
  }
  p.Add(On("fchmod", "fchown", "fchmodat", "fchmodat2", "fchownat", "utimensat")
            .Always(table.supervised ? Ask() : Fail(EPERM))
            .For("a read-only descriptor suffices for these; a supervisor asks where it is from"));
  p.Add(On("chmod", "chown", "lchown")
            .Always(table.supervised ? Ask() : Fail(EACCES))
            .For("the same, by path"));
  p.Add(On("futimesat", "fsetxattr", "fremovexattr", "setxattrat", "removexattrat", "file_setattr",
           "sync", "syncfs")
            .Always(Fail(EPERM))
            .For("a read-only descriptor suffices for these; the file belongs "
                 "to others, too"));
  p.Add(On("fstatfs", "getdents").Always(Fail(EACCES)).For("what is known of a file system"));
  // The only directories that a supervised worker can hold are those that were granted.
  p.Add(On("getdents64")
            .Always(table.supervised ? Allow() : Fail(EACCES))
            .For("what is listed in a directory is granted with it"));
  p.Add(On("fgetxattr", "flistxattr", "getxattrat", "listxattrat", "file_getattr")
            .Always(Fail(table.supervised ? ENOTSUP : EACCES))
            .For("what is written about a file was not granted; ls goes on when there is no such "
                 "thing"));
  p.Add(On("sendfile", "splice", "tee", "vmsplice", "copy_file_range")
            .Always(Fail(EINVAL))
            .For("callers fall back to read and write; page stealing is where "
                 "its bugs were"));
  p.Add(On("io_setup", "io_submit", "io_getevents", "io_pgetevents", "io_cancel", "io_destroy")
            .Always(Fail(ENOSYS))
            .For("submits operations that no filter sees"));
}

// Sockets of the worker's own, and their connections from outside.
void AddConnections(Policy& p, const WorkerTable& table) {
  constexpr uint64_t kMode = SOCK_NONBLOCK | SOCK_CLOEXEC;
  p.Add(On("socket")
            .When({Arg32(0).IsOneOf({AF_INET, AF_INET6}), Arg32(1).Ignoring(kMode).Is(SOCK_STREAM),
                   Arg32(2).IsOneOf({0, IPPROTO_TCP})},
                  Allow())
            .When({Arg32(0).Is(AF_UNIX), Arg32(1).Ignoring(kMode).Is(SOCK_STREAM), Arg32(2).Is(0)},
                  Allow())
            .Otherwise(Fail(EACCES))
            .For("placeholders, which reach nobody until a connect is answered; no datagram "
                 "sockets, of which each packet can name somebody else"));
  p.Add(On("socketpair")
            .When({Arg32(0).Is(AF_UNIX),
                   Arg32(1).Ignoring(kMode).IsOneOf({SOCK_STREAM, SOCK_SEQPACKET}), Arg32(2).Is(0)},
                  Allow())
            .Otherwise(Fail(EACCES))
            .For("curl and Python's asyncio wake themselves by one"));
  p.Add(On("connect", "bind").Always(Ask()).For("hosts and servers that were granted"));
  // INVARIANT(leases-end-with-their-channel): the kernel would let a server that was shut down
  // listen again.
  p.Add(On("listen").Always(Ask()).For("what listens already; never done"));
  p.Add(On("accept", "accept4")
            .Always(table.accepts ? Allow() : Fail(table.refused_errno))
            .For("connections to servers that were granted"));
}

void AddSockets(Policy& p, const WorkerTable& table) {
  constexpr uint64_t kSendFlags = MSG_DONTWAIT | MSG_NOSIGNAL | MSG_EOR | MSG_MORE;
  constexpr uint64_t kReceiveFlags =
      MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC | MSG_WAITALL | MSG_CMSG_CLOEXEC | MSG_WAITFORONE;
  // Not MSG_FASTOPEN, which connects, nor MSG_OOB, which AF_UNIX got wrong more
  // than once.
  p.Add(On("sendmsg")
            .When({Arg32(2).HasOnly(kSendFlags)}, Allow())
            .Otherwise(Fail(EINVAL))
            .Often()
            .For("lanes and wires"));
  p.Add(On("recvmsg")
            .When({Arg32(2).HasOnly(kReceiveFlags)}, Allow())
            .Otherwise(Fail(EINVAL))
            .Often()
            .For("lanes and wires"));
  p.Add(On("sendto")
            .When({Arg64(4).Is(0), Arg32(3).HasOnly(kSendFlags)}, Allow())
            .Otherwise(Fail(EACCES))
            .Often()
            .For("send(); an address names a peer that was not granted"));
  p.Add(On("recvfrom")
            .When({Arg32(3).HasOnly(kReceiveFlags)}, Allow())
            .Otherwise(Fail(EINVAL))
            .Often()
            .For("recv()"));
  p.Add(On("sendmmsg")
            .When({Arg32(3).HasOnly(kSendFlags)}, Allow())
            .Otherwise(Fail(EINVAL))
            .For("several packets at once"));
  p.Add(On("recvmmsg")
            .When({Arg32(3).HasOnly(kReceiveFlags)}, Allow())
            .Otherwise(Fail(EINVAL))
            .For("several packets at once"));
  p.Add(On("shutdown", "getsockname", "getpeername")
            .Always(Allow())
            .For("gRPC, for a connected socket"));
  const Outcome with_connections = table.connects ? Allow() : Fail(ENOPROTOOPT);
  p.Add(On("getsockopt")
            // Not SO_PEERPIDFD, nor SO_PEERCRED: a process is not a property of a channel.
            .When({Arg32(1).Is(SOL_SOCKET),
                   Arg32(2).IsOneOf({SO_TYPE, SO_ERROR, SO_DOMAIN, SO_PROTOCOL, SO_ACCEPTCONN,
                                     SO_SNDBUF, SO_RCVBUF, SO_RCVLOWAT, SO_RCVTIMEO, SO_SNDTIMEO})},
                  Allow())
            .When({Arg32(1).Is(IPPROTO_TCP),
                   Arg32(2).IsOneOf({TCP_NODELAY, TCP_QUICKACK, TCP_USER_TIMEOUT})},
                  Allow())
            .When({Arg32(1).Is(SOL_SOCKET),
                   Arg32(2).IsOneOf({SO_KEEPALIVE, SO_REUSEADDR, SO_REUSEPORT})},
                  with_connections)
            .When({Arg32(1).Is(IPPROTO_TCP),
                   Arg32(2).IsOneOf({TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT})},
                  with_connections)
            .When({Arg32(1).Is(IPPROTO_IPV6), Arg32(2).Is(IPV6_V6ONLY)}, with_connections)
            .Otherwise(Fail(ENOPROTOOPT))
            .For("gRPC asks for errors and for what it has set"));
  p.Add(
      On("setsockopt")
          .When(
              {Arg32(1).Is(SOL_SOCKET), Arg32(2).IsOneOf({SO_RCVTIMEO, SO_SNDTIMEO, SO_RCVLOWAT})},
              Allow())
          .When({Arg32(1).Is(IPPROTO_TCP), Arg32(2).IsOneOf({TCP_NODELAY, TCP_QUICKACK})}, Allow())
          // curl, git; every server. Of what is bound they change nothing for others.
          .When({Arg32(1).Is(SOL_SOCKET),
                 Arg32(2).IsOneOf({SO_KEEPALIVE, SO_REUSEADDR, SO_REUSEPORT})},
                with_connections)
          .When({Arg32(1).Is(IPPROTO_IPV6), Arg32(2).Is(IPV6_V6ONLY)}, with_connections)
          .When({Arg32(1).Is(IPPROTO_TCP),
                 Arg32(2).IsOneOf({TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT})},
                with_connections)
          .Otherwise(Fail(ENOPROTOOPT))
          .For("deadlines, probes; larger buffers would be the service's memory"));
  if (table.connects) {
    AddConnections(p, table);
    return;
  }
  p.Add(On("socket", "socketpair", "connect", "bind", "listen")
            .Always(Fail(EACCES))
            .For("a socket is granted, never made"));
  p.Add(On("accept", "accept4")
            .Always(table.accepts ? Allow() : Fail(EACCES))
            .For("Start::accepts_connections"));
}

// What a supervisor answers. Without one: refused.
void AddFileNames(Policy& p, const WorkerTable& table) {
  p.Add(On("creat", "access", "faccessat", "faccessat2", "stat", "lstat", "readlink", "readlinkat",
           "chdir", "fchdir")
            .Always(table.supervised ? Ask() : Fail(EACCES))
            .For("paths: libraries look for files that may be missing"));
  p.Add(On("mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2")
            .Always(table.supervised ? Ask() : Fail(EACCES))
            .For("paths of what is to be made, removed or renamed"));
  p.Add(On("openat2", "statx")
            .Always(table.supervised ? Ask() : Fail(ENOSYS))
            .For("paths; without a supervisor as on an older kernel: callers fall back"));
  p.Add(On("getcwd", "umask")
            .Always(table.supervised ? Ask() : Allow())
            .For("what a process may know about itself; under a supervisor both are its to keep"));
}

void AddNamesRefused(Policy& p, const WorkerTable& table) {
  p.Add(On("mknod", "mknodat", "link", "linkat", "symlink", "symlinkat", "truncate", "utime",
           "utimes", "statfs", "inotify_init", "inotify_init1", "inotify_add_watch",
           "inotify_rm_watch", "mq_open", "mq_unlink")
            .Always(Fail(table.supervised ? table.refused_errno : EACCES))
            .For("paths, for what nobody can grant"));
  p.Add(On("execve")
            .Always(table.processes    ? Allow()
                    : table.supervised ? Fail(table.refused_errno)
                                       : Fail(EACCES))
            .For("programs that were granted: the view holds no others, and Landlock executes no "
                 "others"));
  p.Add(On("setxattr", "lsetxattr", "getxattr", "lgetxattr", "listxattr", "llistxattr",
           "removexattr", "lremovexattr")
            .Always(Fail(table.supervised ? ENOTSUP : EACCES))
            .For("as fgetxattr, by path"));
  p.Add(On("statmount", "listmount", "listns", "pidfd_open", "landlock_create_ruleset",
           "landlock_add_rule", "landlock_restrict_self", "lsm_get_self_attr", "lsm_set_self_attr",
           "lsm_list_modules", "mq_timedsend", "mq_timedreceive", "mq_notify", "mq_getsetattr",
           "ustat", "sysfs", "_sysctl", "uselib")
            .Always(Fail(ENOSYS))
            .For("as on an older kernel: callers fall back"));
  p.Add(On("syslog").Always(Fail(EPERM)).For("tells about the machine"));
}

void AddDangers(Policy& p) {
  p.Add(On("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease",
           "pidfd_getfd", "kcmp")
            .Always(Die())
            .For("reaches into other processes"));
  p.Add(On("unshare", "setns", "mount", "umount2", "move_mount", "fsopen", "fsconfig", "fsmount",
           "fspick", "open_tree", "open_tree_attr", "mount_setattr", "pivot_root", "chroot",
           "name_to_handle_at", "open_by_handle_at", "fanotify_init", "fanotify_mark",
           "sethostname", "setdomainname")
            .Always(Die())
            .For("rebuilds the walls"));
  p.Add(On("setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid",
           "setfsgid", "setgroups", "capset", "add_key", "request_key", "keyctl")
            .Always(Die())
            .For("changes who the process is"));
  p.Add(On("io_uring_setup", "io_uring_enter", "io_uring_register", "userfaultfd", "bpf",
           "perf_event_open", "iopl", "ioperm", "modify_ldt", "init_module", "finit_module",
           "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff", "acct",
           "quotactl", "quotactl_fd", "vhangup", "nfsservctl", "lookup_dcookie")
            .Always(Die())
            .For("the kernel's widest doors; nobody tries them innocently"));
  p.Add(On("seccomp").Always(Die()).For("another listener could answer for the init"));
}

// Memory for code that the process makes itself. Never of a file, which others may change.
std::vector<Condition> AnonymousCode() {
  return {Arg64(2).HasOnly(PROT_READ | PROT_WRITE | PROT_EXEC), Arg64(3).Has(MAP_ANONYMOUS),
          Arg64(3).Lacks(MAP_SHARED)};
}

void AddForked(Policy& p, const WorkerTable& table) {
  p.Add(On("mmap")
            .When({Arg64(2).HasOnly(PROT_READ | PROT_WRITE)}, Allow())
            .When(AnonymousCode(), table.makes_code ? Allow() : Fail(EPERM))
            .Otherwise(Fail(EPERM))
            .Often()
            .For("malloc, thread stacks, granted files; code is what the image has, or what was "
                 "granted to make"));
  p.Add(On("clone")
            .When({Arg32(0).Is(kPthreadFlags)}, Allow())
            .When({Arg32(0).Lacks(kNamespaceFlags)}, Fail(EPERM))
            .Otherwise(Die())
            .For("pthread_create"));
  p.Add(On("execveat").Always(Fail(EACCES)).For("code is what the image has"));
  if (table.supervised) return;
  p.Add(On("open", "openat").Always(Fail(EACCES)).For("paths, as above"));
  p.Add(On("newfstatat")
            .When({Arg32(3).Is(AT_EMPTY_PATH)}, SignalCaller())
            .Otherwise(Fail(EACCES))
            .For("fstat() of the C library; a path beside the descriptor would lead beneath a "
                 "directory that somebody has sent"));
}

// The calls by which both kinds of workers open and look, answered by the supervisor.
void AddSupervised(Policy& p, const WorkerTable& table) {
  p.Add(On("open", "openat").Always(Ask()).For("files that were granted"));
  p.Add(On("newfstatat")
            // The path may be something else than "", which no filter can see. It then leads
            // to what is granted all the same: the worker's own root, or beneath a directory
            // that is the root of a mount of its own.
            .When({Arg32(0).Is(kHere)}, Ask())
            .When({Arg32(3).Is(AT_EMPTY_PATH)},
                  table.has_own_root || table.sight == DescriptorSight::kNone ? Allow() : Ask())
            .Otherwise(Ask())
            .For("stat(); fstat() of the C library"));
}

void AddExecuted(Policy& p, const WorkerTable& table) {
  p.Add(On("mmap")
            .When({Arg64(2).HasOnly(PROT_READ | PROT_WRITE)}, Allow())
            .When({Arg64(2).HasOnly(PROT_READ | PROT_EXEC),
                   Arg64(3).Lacks(MAP_ANONYMOUS | MAP_SHARED)},
                  Allow())
            .When(AnonymousCode(), table.makes_code ? Allow() : Fail(EPERM))
            .Otherwise(Fail(EPERM))
            .Often()
            .For("the loader maps code, read-only and from files"));
  const Outcome process = table.processes ? Allow() : Fail(EPERM);
  p.Add(
      On("clone")
          .When({Arg32(0).Has(kThreadOnlyFlags), Arg32(0).HasOnly(kPthreadFlags | CLONE_DETACHED)},
                Allow())
          .When({Arg32(0).HasOnly(kForkFlags), Arg32(0).Has(SIGCHLD)}, process)
          .When({Arg32(0).Is(kSpawnFlags)}, process)
          .When({Arg32(0).Lacks(kNamespaceFlags)}, Fail(EPERM))
          .Otherwise(Die())
          .For("threads of any C library, or of none; fork() and posix_spawn()"));
  // The descriptor is closed by the exec and its number is above every later
  // one. The path is "" at an address of the image that the exec replaces.
  p.Add(On("execveat")
            .When({Arg32(0).Is(Parameter::kProgramDescriptor), Arg64(1).Is(Parameter::kProgramPath),
                   Arg32(4).Is(AT_EMPTY_PATH)},
                  Allow())
            .Otherwise(Fail(EACCES))
            .For("the start of the program itself, once"));
  if (table.supervised) return;
  constexpr uint64_t kReadFlags =
      O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | kLargeFile;
  p.Add(On("openat")
            .When({Arg32(0).Is(kHere), Arg32(2).HasOnly(kReadFlags)}, Allow())
            .Otherwise(Fail(EACCES))
            .For("the loader; what there is to open is the view's and Landlock's to say, and never "
                 "beneath a directory that somebody has sent"));
  p.Add(On("open")
            .When({Arg32(1).HasOnly(kReadFlags)}, Allow())
            .Otherwise(Fail(EACCES))
            .For("the loader of older C libraries"));
  p.Add(On("newfstatat")
            .When({Arg32(3).Is(AT_EMPTY_PATH)}, Allow())
            .When({Arg32(0).Is(kHere)}, table.has_own_root ? Allow() : Fail(EACCES))
            .Otherwise(Fail(EACCES))
            .For("the loader asks for the size of what it maps"));
}

}  // namespace

Policy WorkerPolicy(const WorkerTable& table) {
  const bool executed = table.kind == WorkerTable::Kind::kExecuted;
  Policy p;
  AddProcessItself(p, table);
  AddComputing(p, {.makes_code = table.makes_code,
                   .runs_programs = executed,
                   .has_own_pids = table.has_own_pids});
  AddOtherProcesses(p, table);
  AddDescriptors(p, table);
  AddSockets(p, table);
  AddFileNames(p, table);
  AddNamesRefused(p, table);
  if (table.supervised) AddSupervised(p, table);
  AddDangers(p);
  if (executed) {
    AddExecuted(p, table);
  } else {
    AddForked(p, table);
  }
  return p;
}

}  // namespace capbroker::sandbox
