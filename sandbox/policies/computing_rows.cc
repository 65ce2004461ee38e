#include "sandbox/policies/computing_rows.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>

#include <cerrno>

namespace capbroker::sandbox {
namespace {

void AddSignals(Policy& p) {
  p.Add(On("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait",
           "rt_sigsuspend", "sigaltstack", "pause")
            .Always(Allow())
            .For("handlers and masks of the process itself"));
  p.Add(On("signalfd", "signalfd4").Always(Fail(ENOSYS)).For("event loops have pipes, too"));
}

void AddThreads(Policy& p) {
  p.Add(On("futex")
            .When({Arg32(1)
                       .Ignoring(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME)
                       .IsOneOf({FUTEX_WAIT, FUTEX_WAKE, FUTEX_REQUEUE, FUTEX_CMP_REQUEUE,
                                 FUTEX_WAKE_OP, FUTEX_WAIT_BITSET, FUTEX_WAKE_BITSET})},
                  Allow())
            .Otherwise(Fail(ENOSYS))
            .Often()
            .For("mutexes and condition variables; priority inheritance is "
                 "where its bugs were"));
  p.Add(On("set_robust_list", "set_tid_address", "rseq")
            .Always(Allow())
            .For("glibc, for every thread"));
  p.Add(On("membarrier").Always(Fail(ENOSYS)).For("libraries have other barriers"));
  p.Add(On("clone3").Always(Fail(ENOSYS)).For("its flags are in memory: libc falls back to clone"));
  p.Add(On("futex_waitv", "futex_wait", "futex_wake", "futex_requeue", "get_robust_list",
           "set_mempolicy", "get_mempolicy", "mbind", "migrate_pages", "move_pages",
           "set_mempolicy_home_node")
            .Always(Fail(ENOSYS))
            .For("libraries do without"));
  p.Add(On("sched_setaffinity", "sched_setparam", "sched_setscheduler", "sched_setattr",
           "setpriority", "ioprio_set", "ioprio_get", "setrlimit")
            .Always(Fail(EPERM))
            .For("how much of the machine it gets is not for it to say"));
}

void AddMemory(Policy& p, bool makes_code) {
  p.Add(On("munmap", "brk", "mremap", "msync", "munlock", "munlockall")
            .Always(Allow())
            .For("malloc; none of them changes what a page allows"));
  p.Add(On("mlock", "mlock2")
            .Always(Fail(EPERM))
            .For("what stays in memory is not for it to say; callers go on, as without the right"));
  p.Add(On("mprotect")
            .When({Arg64(2).HasOnly(PROT_READ | PROT_WRITE)}, Allow())
            .When({Arg64(2).HasOnly(PROT_READ | PROT_WRITE | PROT_EXEC)},
                  makes_code ? Allow() : Fail(EACCES))
            .Otherwise(Fail(EACCES))
            .Often()
            .For("thread stacks, the loader's read-only data; memory becomes code only for those "
                 "to whom that was granted"));
  p.Add(On("madvise")
            // All but sharing by content (KSM), huge pages, which a kernel may lack, putting pages
            // aside, and failing them on purpose.
            .When({Arg32(2).IsOneOf(
                      {MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED,
                       MADV_FREE, MADV_DONTFORK, MADV_DOFORK, MADV_NOHUGEPAGE, MADV_DONTDUMP,
                       MADV_DODUMP, MADV_WIPEONFORK, MADV_KEEPONFORK, 22 /* POPULATE_READ */,
                       23 /* POPULATE_WRITE */, 102 /* GUARD_INSTALL */, 103 /* GUARD_REMOVE */})},
                  Allow())
            .Otherwise(Fail(EINVAL))
            .Often()
            .For("malloc and thread stacks give pages back"));
  p.Add(On("mlockall", "remap_file_pages", "pkey_mprotect", "pkey_alloc", "pkey_free", "mincore",
           "cachestat", "map_shadow_stack", "mseal", "memfd_secret", "shmget", "shmat", "shmdt",
           "shmctl", "semget", "semop", "semctl", "semtimedop", "msgget", "msgsnd", "msgrcv",
           "msgctl")
            .Always(Fail(ENOSYS))
            .For("System V objects are named by keys; the others tell about or "
                 "rearrange memory"));
}

void AddTime(Policy& p, const Computing& computing) {
  p.Add(On("gettimeofday", "time", "nanosleep", "alarm", "setitimer", "getitimer")
            .Always(Allow())
            .For("clocks and timers of the process itself"));
  // CPU clocks are named by the number of who uses the CPU, or 0.
  constexpr uint64_t kOwnProcess = 0xfffffffa, kOwnThread = 0xfffffffe;
  p.Add(On("clock_gettime", "clock_getres", "clock_nanosleep")
            .When({Arg32(0).HasOnly(0xf)}, Allow())
            .When({Arg32(0).IsOneOf({kOwnProcess, kOwnThread})}, Allow())
            .Otherwise(computing.has_own_pids ? Allow() : Fail(EINVAL))
            .For("the same; where others have numbers, too, only clocks that are nobody else's"));
  p.Add(On("timer_create")
            .When({Arg32(0).HasOnly(0xf)}, computing.runs_programs ? Allow() : Fail(EPERM))
            .Otherwise(Fail(EINVAL))
            .For("programs, timeout(1) for one; our code has clock_nanosleep and poll"));
  p.Add(On("timer_settime", "timer_gettime", "timer_getoverrun", "timer_delete", "timerfd_create",
           "timerfd_settime", "timerfd_gettime")
            .Always(computing.runs_programs ? Allow() : Fail(EPERM))
            .For("the same"));
  p.Add(On("clock_settime", "settimeofday", "adjtimex", "clock_adjtime")
            .Always(Fail(EPERM))
            .For("the machine's clock"));
}

void AddWaiting(Policy& p) {
  p.Add(On("poll", "ppoll", "select", "pselect6", "epoll_create", "epoll_create1", "epoll_ctl",
           "epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd", "eventfd2", "pipe")
            .Always(Allow())
            .For("lanes, gRPC's core; none of them has a name"));
  p.Add(On("pipe2")
            // Not O_NOTIFICATION_PIPE, nor O_DIRECT: pipes of packets.
            .When({Arg32(1).HasOnly(O_CLOEXEC | O_NONBLOCK)}, Allow())
            .Otherwise(Fail(EINVAL))
            .For("event loops that wake themselves"));
}

}  // namespace

void AddOneProcess(Policy& p) {
  p.Add(On("kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo")
            .When({Arg32(0).Is(Parameter::kWorkerPid)}, Allow())
            .Otherwise(Fail(EPERM))
            .For("abort(), raise(), pthread_kill(); nobody else can be named"));
  p.Add(On("tkill").Always(Fail(EPERM)).For("a bare thread id can be anybody's"));
  p.Add(On("fork", "vfork", "setpgid", "setsid").Always(Fail(EPERM)).For("one process, by itself"));
}

void AddComputing(Policy& p, const Computing& computing) {
  AddSignals(p);
  AddThreads(p);
  AddMemory(p, computing.makes_code);
  AddTime(p, computing);
  AddWaiting(p);
}

}  // namespace capbroker::sandbox
