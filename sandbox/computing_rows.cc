#include "sandbox/computing_rows.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>

#include <cerrno>

namespace capbroker::sandbox {
namespace {

void AddSignals(Policy& p, bool runs_programs) {
  p.Add(On("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait",
           "rt_sigsuspend", "sigaltstack", "pause")
            .Always(Allow())
            .For("handlers and masks of the process itself"));
  p.Add(On("signalfd", "signalfd4")
            .Always(runs_programs ? Allow() : Fail(EPERM))
            .For("event loops of programs; nobody but itself signals our code"));
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
  p.Add(On("membarrier")
            // QUERY, and PRIVATE_EXPEDITED with its registration, plain, for
            // rseq and for code.
            .When({Arg32(0).IsOneOf({0, 8, 16, 32, 64, 128, 256})}, Allow())
            .Otherwise(Fail(EINVAL))
            .For("lock-free libraries; the global kinds disturb every CPU"));
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
  p.Add(On("munmap", "brk", "mremap", "msync", "mlock", "mlock2", "munlock", "munlockall", "mseal")
            .Always(Allow())
            .For("malloc; none of them changes what a page allows"));
  p.Add(On("mprotect")
            .When({Arg64(2).HasOnly(PROT_READ | PROT_WRITE)}, Allow())
            .When({Arg64(2).HasOnly(PROT_READ | PROT_WRITE | PROT_EXEC)},
                  makes_code ? Allow() : Fail(EACCES))
            .Otherwise(Fail(EACCES))
            .Often()
            .For("thread stacks, the loader's read-only data; memory becomes code only for those "
                 "to whom that was granted"));
  p.Add(On("madvise")
            // All but sharing by content (KSM), huge pages, which a kernel may lack, and failing
            // pages on purpose.
            .When({Arg32(2).IsOneOf({MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED,
                                     MADV_DONTNEED, MADV_FREE, MADV_DONTFORK, MADV_DOFORK,
                                     MADV_NOHUGEPAGE, MADV_DONTDUMP, MADV_DODUMP, MADV_WIPEONFORK,
                                     MADV_KEEPONFORK, MADV_COLD, MADV_PAGEOUT,
                                     22 /* POPULATE_READ */, 23 /* POPULATE_WRITE */,
                                     102 /* GUARD_INSTALL */, 103 /* GUARD_REMOVE */})},
                  Allow())
            .Otherwise(Fail(EINVAL))
            .Often()
            .For("malloc and thread stacks give pages back"));
  p.Add(On("mlockall", "remap_file_pages", "pkey_mprotect", "pkey_alloc", "pkey_free", "mincore",
           "cachestat", "map_shadow_stack", "memfd_secret", "shmget", "shmat", "shmdt", "shmctl",
           "semget", "semop", "semctl", "semtimedop", "msgget", "msgsnd", "msgrcv", "msgctl")
            .Always(Fail(ENOSYS))
            .For("System V objects are named by keys; the others tell about or "
                 "rearrange memory"));
}

void AddTime(Policy& p, bool runs_programs) {
  p.Add(On("clock_gettime", "clock_getres", "gettimeofday", "time", "nanosleep", "clock_nanosleep",
           "alarm", "setitimer", "getitimer", "timerfd_create", "timerfd_settime",
           "timerfd_gettime")
            .Always(Allow())
            .For("clocks and timers of the process itself"));
  p.Add(On("timer_create", "timer_settime", "timer_gettime", "timer_getoverrun", "timer_delete")
            .Always(runs_programs ? Allow() : Fail(EPERM))
            .For("programs, timeout(1) for one; our code has timerfd and clock_nanosleep"));
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
  AddSignals(p, computing.runs_programs);
  AddThreads(p);
  AddMemory(p, computing.makes_code);
  AddTime(p, computing.runs_programs);
  AddWaiting(p);
}

}  // namespace capbroker::sandbox
