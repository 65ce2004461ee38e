// The tables, without a kernel: which call gets which fate with which
// arguments.
#include "sandbox/policies/worker_policy.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include <cerrno>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "sandbox/supervisor/capability_errno.h"
#include "sandbox/supervisor/file_calls.h"
#include "sandbox/supervisor/metadata_calls.h"
#include "sandbox/supervisor/socket_calls.h"
#include "sandbox/supervisor/tree_calls.h"
#include "sandbox/table/filter_compiler.h"
#include "sandbox/table/filter_evaluator.h"
#include "sandbox/table/system_calls.h"

namespace capbroker::sandbox {
namespace {

constexpr uint64_t kPid = 2;
constexpr uint64_t kProgram = 256;
constexpr uint64_t kPath = 0x555500001000;
constexpr uint64_t kKept = 99;  // the number of the working place

// "allow", "ask", "die", "signal", or the errno as a number.
class Table {
 public:
  explicit Table(WorkerTable table) {
    const absl::StatusOr<CompiledFilter> filter =
        CompileFilter(WorkerPolicy(table), DieAction::kNotifyListener, Architecture::kX86_64);
    EXPECT_OK(filter);
    if (filter.ok()) program_ = filter->Bind({0, kPid, kProgram, kPath, 0, kKept});
  }

  std::string operator()(const char* name, std::vector<uint64_t> arguments = {}) const {
    const int number = SystemCallNumber(name, Architecture::kX86_64).value_or(-1);
    EXPECT_GE(number, 0) << name;
    return Fate(number, arguments);
  }

  std::string Fate(int number, const std::vector<uint64_t>& arguments) const {
    seccomp_data call = {};
    call.nr = number;
    call.arch = AUDIT_ARCH_X86_64;
    for (size_t i = 0; i < arguments.size(); ++i) call.args[i] = arguments[i];
    const absl::StatusOr<uint32_t> action = EvaluateFilter(program_, call);
    EXPECT_OK(action);
    if (*action == SECCOMP_RET_ALLOW) return "allow";
    if (*action == SECCOMP_RET_USER_NOTIF) return "die";
    if (*action == kAskAction) return "ask";
    if (*action == SECCOMP_RET_TRAP) return "signal";
    EXPECT_EQ(*action & SECCOMP_RET_ACTION_FULL, SECCOMP_RET_ERRNO);
    return std::to_string(*action & SECCOMP_RET_DATA);
  }

  size_t size() const { return program_.size(); }

 private:
  std::vector<sock_filter> program_;
};

std::string Errno(int number) { return std::to_string(number); }

const Table& Forked() {
  static const Table* const table = new Table({});
  return *table;
}
const Table& Executed() {
  static const Table* const table = new Table({.kind = WorkerTable::Kind::kExecuted});
  return *table;
}

class EveryTable : public ::testing::TestWithParam<const Table& (*)()> {
 protected:
  const Table& table_ = GetParam()();
};
INSTANTIATE_TEST_SUITE_P(Kinds, EveryTable, ::testing::Values(&Forked, &Executed));

TEST_P(EveryTable, KillsWhatNobodyTriesInnocently) {
  for (const char* name : {"ptrace",
                           "process_vm_readv",
                           "process_vm_writev",
                           "pidfd_getfd",
                           "kcmp",
                           "io_uring_setup",
                           "io_uring_enter",
                           "userfaultfd",
                           "bpf",
                           "perf_event_open",
                           "keyctl",
                           "add_key",
                           "request_key",
                           "mount",
                           "umount2",
                           "pivot_root",
                           "chroot",
                           "fsopen",
                           "open_tree",
                           "move_mount",
                           "setns",
                           "unshare",
                           "seccomp",
                           "init_module",
                           "reboot",
                           "iopl",
                           "modify_ldt",
                           "personality",
                           "setuid",
                           "setresgid",
                           "setgroups",
                           "capset",
                           "name_to_handle_at",
                           "open_by_handle_at",
                           "kexec_load",
                           "swapon",
                           "acct",
                           "quotactl",
                           "process_madvise"}) {
    EXPECT_EQ(table_(name), "die") << name;
  }
}

TEST_P(EveryTable, FailsSoftlyWhereLibrariesProbe) {
  const std::string eacces = Errno(EACCES);
  for (const char* name :
       {"creat",  "access",  "faccessat",     "stat",      "lstat",      "readlink", "mkdir",
        "unlink", "rename",  "link",          "symlink",   "chmod",      "chown",    "truncate",
        "statfs", "chdir",   "inotify_init1", "socket",    "socketpair", "connect",  "bind",
        "listen", "accept4", "execve",        "getdents64"}) {
    EXPECT_EQ(table_(name), eacces) << name;
  }
  for (const char* name : {"clone3", "statx", "openat2", "preadv2", "pwritev2", "pidfd_open",
                           "io_setup", "shmget", "landlock_create_ruleset", "memfd_secret"}) {
    EXPECT_EQ(table_(name), Errno(ENOSYS)) << name;
  }
}

TEST_P(EveryTable, KeepsTheRightsOfDescriptors) {
  const std::string eperm = Errno(EPERM);
  for (const char* name : {"fchmod", "fchown", "utimensat", "fsetxattr", "fchmodat2", "flock",
                           "ftruncate", "fallocate", "memfd_create"}) {
    EXPECT_EQ(table_(name), eperm) << name;
  }
  // O_RDWR | O_NONBLOCK is what gRPC says; it is answered and not done.
  EXPECT_EQ(table_("fcntl", {5, F_SETFL, O_RDWR | O_NONBLOCK}), "0");
  EXPECT_EQ(table_("fcntl", {5, F_SETFL, O_RDWR}), eperm);
  EXPECT_EQ(table_("fcntl", {5, F_SETFL, O_RDWR | O_NONBLOCK | O_APPEND}), eperm);
  EXPECT_EQ(table_("fcntl", {5, F_SETFL, O_ASYNC | O_NONBLOCK}), eperm);
  EXPECT_EQ(table_("fcntl", {5, F_SETOWN, kPid}), eperm);
  EXPECT_EQ(table_("fcntl", {5, F_ADD_SEALS, 1}), eperm);
  EXPECT_EQ(table_("fcntl", {5, F_SETLK, 0}), Errno(ENOLCK));
  EXPECT_EQ(table_("fcntl", {5, F_GETFL}), "allow");
  // High halves that the kernel ignores change nothing.
  EXPECT_EQ(table_("fcntl", {5, uint64_t{7} << 32 | F_SETFL, O_RDWR}), eperm);
}

TEST_P(EveryTable, LetsNoSocketChooseItsPeer) {
  EXPECT_EQ(table_("sendto", {5, 0, 0, MSG_NOSIGNAL, 0, 0}), "allow");
  EXPECT_EQ(table_("sendto", {5, 0, 0, 0, 0x7fff00001000, 16}), Errno(EACCES));
  EXPECT_EQ(table_("sendto", {5, 0, 0, 0, uint64_t{1} << 32, 16}), Errno(EACCES));
  EXPECT_EQ(table_("sendto", {5, 0, 0, MSG_FASTOPEN, 0, 0}), Errno(EACCES));
  EXPECT_EQ(table_("sendmsg", {5, 0, MSG_NOSIGNAL | MSG_DONTWAIT}), "allow");
  EXPECT_EQ(table_("sendmsg", {5, 0, MSG_FASTOPEN}), Errno(EINVAL));
  EXPECT_EQ(table_("sendmsg", {5, 0, MSG_OOB}), Errno(EINVAL));
  EXPECT_EQ(table_("sendmmsg", {5, 0, 1, MSG_FASTOPEN}), Errno(EINVAL));
  EXPECT_EQ(table_("recvmsg", {5, 0, MSG_CMSG_CLOEXEC | MSG_DONTWAIT}), "allow");
  EXPECT_EQ(table_("recvmsg", {5, 0, MSG_OOB}), Errno(EINVAL));
  EXPECT_EQ(table_("recvfrom", {5, 0, 0, MSG_OOB}), Errno(EINVAL));
  EXPECT_EQ(table_("setsockopt", {5, SOL_SOCKET, SO_SNDBUF}), Errno(ENOPROTOOPT));
  EXPECT_EQ(table_("setsockopt", {5, SOL_SOCKET, SO_ATTACH_FILTER}), Errno(ENOPROTOOPT));
  EXPECT_EQ(table_("getsockopt", {5, SOL_SOCKET, 77 /* SO_PEERPIDFD */}), Errno(ENOPROTOOPT));
}

TEST_P(EveryTable, AllowsThreadsButNoProcessesAndNoNamespaces) {
  constexpr uint64_t kPthread = 0x3d0f00;
  EXPECT_EQ(table_("clone", {kPthread}), "allow");
  EXPECT_EQ(table_("clone", {0x11}), Errno(EPERM));  // fork
  EXPECT_EQ(table_("clone", {CLONE_VM | CLONE_VFORK | 0x11}),
            Errno(EPERM));  // posix_spawn
  EXPECT_EQ(table_("fork"), Errno(EPERM));
  EXPECT_EQ(table_("vfork"), Errno(EPERM));
  EXPECT_EQ(table_("clone", {CLONE_NEWUSER | 0x11}), "die");
  EXPECT_EQ(table_("clone", {kPthread | CLONE_NEWNS}), "die");
  EXPECT_EQ(table_("clone", {kPthread | CLONE_PTRACE}), Errno(EPERM));
  EXPECT_EQ(table_("clone", {kPthread | CLONE_PARENT}), Errno(EPERM));
}

TEST_P(EveryTable, NamesNoProcessButTheWorkerItself) {
  EXPECT_EQ(table_("kill", {kPid, 6}), "allow");
  EXPECT_EQ(table_("tgkill", {kPid, 77, 6}), "allow");
  for (uint64_t other : {uint64_t{0}, uint64_t{1}, uint64_t{3}, ~uint64_t{0}}) {
    EXPECT_EQ(table_("kill", {other, 9}), Errno(EPERM)) << other;
    EXPECT_EQ(table_("tgkill", {other, 77, 9}), Errno(EPERM)) << other;
    EXPECT_EQ(table_("rt_sigqueueinfo", {other, 9}), Errno(EPERM)) << other;
  }
  EXPECT_EQ(table_("tkill", {kPid, 6}), Errno(EPERM));
  EXPECT_EQ(table_("prlimit64", {0, 3, 0, 0x1000}), "allow");
  EXPECT_EQ(table_("prlimit64", {0, 3, 0x1000, 0}), Errno(EPERM));
  EXPECT_EQ(table_("prlimit64", {0, RLIMIT_NOFILE, 0x1000, 0}), "allow");
  EXPECT_EQ(table_("prlimit64", {1, RLIMIT_NOFILE, 0x1000, 0}), Errno(EPERM));
  EXPECT_EQ(table_("prlimit64", {1, 3, 0, 0x1000}), Errno(EPERM));
}

TEST_P(EveryTable, NarrowsPrctlToHarmlessOptions) {
  EXPECT_EQ(table_("prctl", {PR_SET_NAME}), "allow");
  EXPECT_EQ(table_("prctl", {PR_SET_DUMPABLE, 0}), "allow");
  EXPECT_EQ(table_("prctl", {PR_SET_DUMPABLE, 1}), Errno(EINVAL));
  EXPECT_EQ(table_("prctl", {PR_SET_PDEATHSIG, 0}), Errno(EPERM));
  EXPECT_EQ(table_("prctl", {PR_SET_SECCOMP, 2}), "die");
  EXPECT_EQ(table_("prctl", {PR_SET_MM}), "die");
  EXPECT_EQ(table_("prctl", {PR_CAP_AMBIENT}), Errno(EINVAL));
  EXPECT_EQ(table_("personality", {0xffffffff}), "allow");
}

TEST_P(EveryTable, NeverTurnsWritableMemoryIntoCode) {
  constexpr uint64_t kAnonymous = MAP_PRIVATE | MAP_ANONYMOUS;
  const std::string eperm = Errno(EPERM);
  EXPECT_EQ(table_("mmap", {0, 4096, PROT_READ | PROT_WRITE, kAnonymous}), "allow");
  EXPECT_EQ(table_("mmap", {0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, kAnonymous}), eperm);
  EXPECT_EQ(table_("mmap", {0, 4096, PROT_EXEC, kAnonymous}), eperm);
  EXPECT_EQ(table_("mmap", {0, 4096, PROT_READ | PROT_EXEC, MAP_SHARED}), eperm);
  EXPECT_EQ(table_("mprotect", {0, 4096, PROT_READ}), "allow");
  EXPECT_EQ(table_("mprotect", {0, 4096, PROT_READ | PROT_EXEC}), Errno(EACCES));
  EXPECT_EQ(table_("mprotect", {0, 4096, PROT_EXEC | uint64_t{1} << 40}), Errno(EACCES));
  EXPECT_EQ(table_("pkey_mprotect", {0, 4096, PROT_EXEC}), Errno(ENOSYS));
}

TEST_P(EveryTable, KillsEveryNumberThatItDoesNotState) {
  for (int number = 0; number < 600; ++number) {
    const std::string name = SystemCallName(number, Architecture::kX86_64);
    if (name == "unknown") {
      EXPECT_EQ(table_.Fate(number, {}), "die") << number;
    }
  }
  EXPECT_EQ(table_("vserver"), "die");
  EXPECT_EQ(table_("create_module"), "die");
}

TEST(ForkedTable, MapsNoCodeAndOpensNothing) {
  EXPECT_EQ(Forked()("mmap", {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, 5}), Errno(EPERM));
  EXPECT_EQ(Forked()("open", {0, O_RDONLY}), Errno(EACCES));
  EXPECT_EQ(Forked()("openat", {0, 0, O_RDONLY}), Errno(EACCES));
  EXPECT_EQ(Forked()("execveat", {kProgram, kPath, 0, 0, AT_EMPTY_PATH}), Errno(EACCES));
  EXPECT_EQ(Forked()("arch_prctl", {0x1002}), Errno(EINVAL));
}

TEST(ForkedTable, FollowsNoPathBesideADescriptor) {
  for (const bool has_own_root : {true, false}) {
    const Table table({.has_own_root = has_own_root});
    EXPECT_EQ(table("newfstatat", {5, 0, 0, AT_EMPTY_PATH}), "signal");
    EXPECT_EQ(table("newfstatat", {5, 0, 0, 0}), Errno(EACCES));
    EXPECT_EQ(table("fstat", {5}), "allow");
  }
}

TEST(ExecutedTable, LetsTheLoaderReadAndMapCode) {
  constexpr uint64_t kHere = static_cast<uint32_t>(AT_FDCWD);
  EXPECT_EQ(Executed()("openat", {kHere, 0, O_RDONLY | O_CLOEXEC}), "allow");
  EXPECT_EQ(Executed()("newfstatat", {kHere, 0, 0, 0}), "allow");
  EXPECT_EQ(Executed()("newfstatat", {5, 0, 0, AT_EMPTY_PATH}), "allow");
  for (const uint64_t flags : {O_RDWR, O_RDONLY | O_CREAT, O_TMPFILE | O_RDWR, O_PATH}) {
    EXPECT_EQ(Executed()("openat", {kHere, 0, flags}), Errno(EACCES));
  }
  EXPECT_EQ(Executed()("mmap", {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, 5}), "allow");
  EXPECT_EQ(Executed()("arch_prctl", {0x1002}), "allow");
}

// Where Landlock is not in force, nothing else would hold a directory that somebody has sent.
TEST(ExecutedTable, OpensNothingBeneathADirectory) {
  EXPECT_EQ(Executed()("openat", {5, 0, O_RDONLY | O_CLOEXEC}), Errno(EACCES));
  EXPECT_EQ(Executed()("newfstatat", {5, 0, 0, 0}), Errno(EACCES));
}

TEST(ExecutedTable, ExecutesItsProgramAndNothingElse) {
  EXPECT_EQ(Executed()("execveat", {kProgram, kPath, 1, 2, AT_EMPTY_PATH}), "allow");
  EXPECT_EQ(Executed()("execveat", {kProgram + 1, kPath, 1, 2, AT_EMPTY_PATH}), Errno(EACCES));
  EXPECT_EQ(Executed()("execveat", {kProgram, kPath + 1, 1, 2, AT_EMPTY_PATH}), Errno(EACCES));
  EXPECT_EQ(Executed()("execveat", {kProgram, kPath, 1, 2, 0}), Errno(EACCES));
  EXPECT_EQ(Executed()("execve", {kPath}), Errno(EACCES));
}

TEST(CodeTable, MakesCodeInItsOwnMemoryAlone) {
  constexpr uint64_t kAll = PROT_READ | PROT_WRITE | PROT_EXEC;
  for (const auto kind : {WorkerTable::Kind::kForked, WorkerTable::Kind::kExecuted}) {
    const Table table({.kind = kind, .makes_code = true});
    EXPECT_EQ(table("mmap", {0, 4096, kAll, MAP_PRIVATE | MAP_ANONYMOUS}), "allow");
    EXPECT_EQ(table("mmap", {0, 4096, kAll, MAP_SHARED | MAP_ANONYMOUS}), Errno(EPERM));
    EXPECT_EQ(table("mmap", {0, 4096, kAll, MAP_PRIVATE, 5}), Errno(EPERM));
    EXPECT_EQ(table("mprotect", {0, 4096, kAll}), "allow");
    EXPECT_EQ(table("pkey_mprotect", {0, 4096, kAll, 1}), Errno(ENOSYS));
    const Table without({.kind = kind});
    EXPECT_EQ(without("mmap", {0, 4096, kAll, MAP_PRIVATE | MAP_ANONYMOUS}), Errno(EPERM));
    EXPECT_EQ(without("mprotect", {0, 4096, PROT_READ | PROT_EXEC}), Errno(EACCES));
  }
}

TEST(ResizingTable, MakesFilesThatCanNeverBeExecuted) {
  const Table table({.resizes_files = true});
  constexpr uint64_t kNoExec = 8;
  EXPECT_EQ(table("memfd_create", {0, kNoExec | 3}), "allow");
  EXPECT_EQ(table("memfd_create", {0, 3}), Errno(EACCES));
  EXPECT_EQ(table("memfd_create", {0, kNoExec | 0x10 /* MFD_EXEC */}), Errno(EACCES));
  EXPECT_EQ(table("memfd_create", {0, kNoExec | 4 /* MFD_HUGETLB */}), Errno(EACCES));
  EXPECT_EQ(table("ftruncate"), "allow");
  EXPECT_EQ(table("fcntl", {5, F_ADD_SEALS, 1}), "allow");
}

TEST(WorkerPolicyTest, TellsOfItselfAloneWhereOthersHaveNumbers) {
  constexpr uint64_t kSomebody = 4711;
  constexpr uint64_t kProcessClock = static_cast<uint32_t>(-6), kThreadClock = 0xfffffffe;
  constexpr uint64_t kOthersClock = static_cast<uint32_t>(~kSomebody << 3 | 2);
  for (const WorkerTable::Kind kind : {WorkerTable::Kind::kForked, WorkerTable::Kind::kExecuted}) {
    const Table among_others({.kind = kind, .has_own_pids = false});
    const Table alone({.kind = kind});
    for (const char* call : {"sched_getaffinity", "sched_getscheduler", "sched_getparam",
                             "sched_getattr", "sched_rr_get_interval"}) {
      EXPECT_EQ(among_others(call, {0}), "allow") << call;
      EXPECT_EQ(among_others(call, {kPid}), "allow") << call;
      EXPECT_EQ(among_others(call, {kSomebody}), Errno(ENOSYS)) << call;
      EXPECT_EQ(alone(call, {kSomebody}), "allow") << call;
    }
    EXPECT_EQ(among_others("capget"), Errno(EPERM));
    for (const char* call : {"clock_gettime", "clock_getres", "clock_nanosleep"}) {
      for (const uint64_t clock : {uint64_t{CLOCK_MONOTONIC}, kProcessClock, kThreadClock}) {
        EXPECT_EQ(among_others(call, {clock}), "allow") << call;
      }
      EXPECT_EQ(among_others(call, {kOthersClock}), Errno(EINVAL)) << call;
    }
    EXPECT_EQ(alone("getpriority", {PRIO_USER, 0}), Errno(EPERM));
  }
}

TEST(WorkerPolicyTest, AsksForTheHostsNameWhereItIsTheMachines) {
  const Table supervised({.supervised = true, .has_own_host_name = false});
  EXPECT_EQ(supervised("uname"), "ask");
  const Table named({.supervised = true});
  EXPECT_EQ(named("uname"), "allow");
}

TEST(WorkerPolicyTest, FitsTheKernelOnEveryArchitecture) {
  for (const auto kind : {WorkerTable::Kind::kForked, WorkerTable::Kind::kExecuted}) {
    for (const auto architecture : {Architecture::kX86_64, Architecture::kAArch64}) {
      EXPECT_OK(CompileFilter(WorkerPolicy({.kind = kind}), DieAction::kKillProcess, architecture));
    }
  }
  EXPECT_LT(Forked().size(), 650u);
  EXPECT_LT(Executed().size(), 700u);
}

TEST(SupervisedTable, AsksForExactlyWhatASupervisorAnswers) {
  std::set<std::string> answered;
  for (const std::string& name : FileCalls::Names()) answered.insert(name);
  for (const std::string& name : TreeCalls::Names()) EXPECT_TRUE(answered.insert(name).second);
  for (const std::string& name : MetadataCalls::Names()) EXPECT_TRUE(answered.insert(name).second);
  for (const WorkerTable::Kind kind : {WorkerTable::Kind::kForked, WorkerTable::Kind::kExecuted}) {
    const Table with({.kind = kind, .supervised = true});
    const Table without({.kind = kind});
    for (int number = 0; number < 600; ++number) {
      const std::string name = SystemCallName(number, Architecture::kX86_64);
      EXPECT_EQ(with.Fate(number, {}) == "ask", answered.count(name) == 1) << name;
      EXPECT_NE(without.Fate(number, {}), "ask") << name;
    }
  }
}

// INVARIANT(default-deny)
TEST(SupervisedTable, AllowsNothingElseThatNamesSomething) {
  for (const WorkerTable::Kind kind : {WorkerTable::Kind::kForked, WorkerTable::Kind::kExecuted}) {
    for (const bool has_own_root : {true, false}) {
      const Table with({.kind = kind, .supervised = true, .has_own_root = has_own_root});
      const Table without({.kind = kind, .has_own_root = has_own_root});
      for (int number = 0; number < 600; ++number) {
        const std::string name = SystemCallName(number, Architecture::kX86_64);
        // Of what a supervisor gave.
        if (name == "getdents64" || name == "flock") continue;
        if (with.Fate(number, {}) == "allow") {
          EXPECT_EQ(without.Fate(number, {}), "allow") << name;
        }
        EXPECT_EQ(with.Fate(number, {}) == "die", without.Fate(number, {}) == "die") << name;
      }
      EXPECT_EQ(with("symlinkat"), Errno(kEcapmode));
      EXPECT_EQ(with("linkat"), Errno(kEcapmode));
      EXPECT_EQ(with("mknodat"), Errno(kEcapmode));
      EXPECT_EQ(with("connect"), Errno(EACCES));
      EXPECT_EQ(with("prctl", {PR_SET_DUMPABLE, 0}), Errno(EPERM));
    }
  }
}

TEST(SupervisedTable, KeepsTheWorkingPlace) {
  const Table table({.kind = WorkerTable::Kind::kExecuted, .supervised = true});
  EXPECT_EQ(table("close", {kKept}), Errno(EBADF));
  EXPECT_EQ(table("close", {kKept + 1}), "allow");
  EXPECT_EQ(table("dup2", {5, kKept}), Errno(EBADF));
  EXPECT_EQ(table("dup3", {5, kKept}), Errno(EBADF));
  EXPECT_EQ(table("dup2", {kKept, 5}), "allow");
  EXPECT_EQ(table("fcntl", {kKept, F_SETFD, FD_CLOEXEC}), Errno(EBADF));
  EXPECT_EQ(table("close_range", {3, ~0u, 0}), Errno(ENOSYS));
}

TEST(SupervisedTable, MakesProcessesWhereTheyWereGranted) {
  constexpr uint64_t kFork = CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD;
  constexpr uint64_t kSpawn = CLONE_VM | CLONE_VFORK | SIGCHLD;
  const Table with({.kind = WorkerTable::Kind::kExecuted,
                    .supervised = true,
                    .processes = true,
                    .scopes_signals = true});
  const Table without({.kind = WorkerTable::Kind::kExecuted, .supervised = true});
  for (const char* name : {"fork", "vfork", "setsid", "setpgid"}) {
    EXPECT_EQ(with(name), "allow") << name;
    EXPECT_EQ(without(name), Errno(EPERM)) << name;
  }
  for (const uint64_t flags : {kFork, kSpawn}) {
    EXPECT_EQ(with("clone", {flags}), "allow");
    EXPECT_EQ(without("clone", {flags}), Errno(EPERM));
    EXPECT_EQ(with("clone", {flags | CLONE_NEWUSER}), "die");
    // Memory is shared by threads, or with a parent that waits.
    EXPECT_EQ(with("clone", {flags | CLONE_VM, 0x1000}), flags == kSpawn ? "allow" : Errno(EPERM));
    EXPECT_EQ(with("clone", {flags | CLONE_PARENT}), Errno(EPERM));
  }
  EXPECT_EQ(with("clone3"), Errno(ENOSYS));
  EXPECT_EQ(with("execve"), "allow");
  EXPECT_EQ(without("execve"), Errno(kEcapmode));
  EXPECT_EQ(with("execveat", {5, 0, 0, 0, AT_EMPTY_PATH}), Errno(EACCES));
  EXPECT_EQ(with("kill", {7, SIGTERM}), "allow");
  EXPECT_EQ(without("kill", {7, SIGTERM}), Errno(EPERM));
  const Table unscoped(
      {.kind = WorkerTable::Kind::kExecuted, .supervised = true, .processes = true});
  EXPECT_EQ(unscoped("kill", {7, SIGTERM}), Errno(EPERM));
}

std::vector<uint64_t> Arguments(int first, int second, int third) {
  return {static_cast<uint32_t>(first), static_cast<uint32_t>(second),
          static_cast<uint32_t>(third)};
}

// INVARIANT(default-deny)
TEST(AcceptingTable, AcceptsAndNothingElse) {
  for (const WorkerTable::Kind kind : {WorkerTable::Kind::kForked, WorkerTable::Kind::kExecuted}) {
    const Table with({.kind = kind, .accepts = true});
    const Table without({.kind = kind});
    for (int number = 0; number < 600; ++number) {
      const std::string name = SystemCallName(number, Architecture::kX86_64);
      const bool accepts = name == "accept" || name == "accept4";
      EXPECT_EQ(with.Fate(number, {}), accepts ? "allow" : without.Fate(number, {})) << name;
    }
    EXPECT_EQ(without("accept4"), Errno(EACCES));
    EXPECT_EQ(with("listen"), Errno(EACCES)) << "what was shut down would listen again";
  }
}

// INVARIANT(default-deny)
TEST(ConnectingTable, AddsWhatConnectsAndNothingElse) {
  std::set<std::string> asked;
  for (const std::string& name : SocketCalls::Names()) asked.insert(name);
  for (const WorkerTable::Kind kind : {WorkerTable::Kind::kForked, WorkerTable::Kind::kExecuted}) {
    const Table with({.kind = kind, .supervised = true, .connects = true});
    const Table without({.kind = kind, .supervised = true});
    for (int number = 0; number < 600; ++number) {
      const std::string name = SystemCallName(number, Architecture::kX86_64);
      if (name == "connect" || name == "bind" || name == "listen" || name == "accept" ||
          name == "accept4") {
        continue;
      }
      EXPECT_EQ(with.Fate(number, {}), without.Fate(number, {})) << name;
    }
    for (const std::string& name : asked) EXPECT_NE(without(name.c_str()), "ask") << name;
    const Table serving({.kind = kind, .accepts = true, .supervised = true, .connects = true});
    for (const char* name : {"connect", "bind", "listen"}) {
      EXPECT_EQ(with(name), "ask") << name;
      EXPECT_EQ(serving(name), "ask") << name;
    }
    for (const char* name : {"accept", "accept4"}) {
      EXPECT_EQ(with(name), Errno(kEcapmode)) << name;
      EXPECT_EQ(serving(name), "allow") << name;
    }
    for (const int mode : {0, int{SOCK_CLOEXEC}, SOCK_NONBLOCK | SOCK_CLOEXEC}) {
      for (const int family : {AF_INET, AF_INET6, AF_UNIX}) {
        EXPECT_EQ(with("socket", Arguments(family, SOCK_STREAM | mode, 0)), "allow");
        EXPECT_EQ(with("socket", Arguments(family, SOCK_DGRAM | mode, 0)), Errno(EACCES));
        EXPECT_EQ(with("socket", Arguments(family, SOCK_RAW | mode, 0)), Errno(EACCES));
        EXPECT_EQ(with("socket", Arguments(family, SOCK_SEQPACKET | mode, 0)), Errno(EACCES));
        EXPECT_EQ(with("socket", Arguments(family, SOCK_STREAM | mode, 132 /* SCTP */)),
                  Errno(EACCES));
        EXPECT_EQ(with("socketpair", Arguments(family, SOCK_STREAM | mode, 0)),
                  family == AF_UNIX ? "allow" : Errno(EACCES));
      }
      EXPECT_EQ(with("socketpair", Arguments(AF_UNIX, SOCK_DGRAM | mode, 0)), Errno(EACCES));
      EXPECT_EQ(with("socket", Arguments(AF_NETLINK, SOCK_RAW | mode, 0)), Errno(EACCES));
      EXPECT_EQ(with("socket", Arguments(AF_VSOCK, SOCK_STREAM | mode, 0)), Errno(EACCES));
    }
    EXPECT_EQ(with("fcntl", {5, F_SETFL, O_NONBLOCK}), "ask");
    EXPECT_EQ(with("fcntl", {5, F_SETFL, O_RDWR}), "ask");
    EXPECT_EQ(with("fcntl", {5, F_SETFL, O_APPEND}), "ask");
    EXPECT_EQ(without("fcntl", {5, F_SETFL, O_NONBLOCK}), "ask");
    EXPECT_EQ(with("ioctl", {5, FIONBIO}), "ask");
    EXPECT_EQ(with("ioctl", {5, TIOCSTI}), without("ioctl", {5, TIOCSTI}));
    EXPECT_EQ(with("setsockopt", Arguments(5, SOL_SOCKET, SO_KEEPALIVE)), "allow");
    EXPECT_EQ(without("setsockopt", Arguments(5, SOL_SOCKET, SO_KEEPALIVE)), Errno(ENOPROTOOPT));
    for (const int option : {TCP_FASTOPEN_CONNECT, TCP_REPAIR, TCP_ULP, TCP_CONGESTION}) {
      EXPECT_EQ(with("setsockopt", Arguments(5, IPPROTO_TCP, option)), Errno(ENOPROTOOPT))
          << option;
    }
  }
}

TEST(SupervisedTable, LetsFstatOfWhatIsOpenPassWhereAPathLeadsNowhere) {
  const Table own_root({.supervised = true});
  EXPECT_EQ(own_root("newfstatat", {5, 0, 0, AT_EMPTY_PATH}), "allow");
  EXPECT_EQ(own_root("newfstatat", {5, 0, 0, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW}), "ask");
  EXPECT_EQ(own_root("newfstatat", {static_cast<uint32_t>(AT_FDCWD), 0, 0, AT_EMPTY_PATH}), "ask");
  for (const auto sight : {DescriptorSight::kHandles, DescriptorSight::kDuplicates}) {
    const Table hosts_root({.supervised = true, .has_own_root = false, .sight = sight});
    EXPECT_EQ(hosts_root("newfstatat", {5, 0, 0, AT_EMPTY_PATH}), "ask");
  }
  const Table unseen({.supervised = true, .has_own_root = false, .sight = DescriptorSight::kNone});
  EXPECT_EQ(unseen("newfstatat", {5, 0, 0, AT_EMPTY_PATH}), "allow");
}

// Flags stay. Who asks for nothing but O_NONBLOCK is told so by whoever knows it.
TEST(SupervisedTable, AsksForFlagsWhoeverSeesThem) {
  const auto set = [](DescriptorSight sight, uint64_t flags) {
    return Table({.supervised = true, .sight = sight})("fcntl", {5, F_SETFL, flags});
  };
  for (const auto sight : {DescriptorSight::kHandles, DescriptorSight::kDuplicates}) {
    EXPECT_EQ(set(sight, O_WRONLY | O_NONBLOCK), "ask");
    EXPECT_EQ(set(sight, O_WRONLY), "ask");
  }
  EXPECT_EQ(set(DescriptorSight::kNone, O_WRONLY | O_NONBLOCK), Errno(0));
  EXPECT_EQ(set(DescriptorSight::kNone, O_WRONLY), Errno(EPERM));
}

}  // namespace
}  // namespace capbroker::sandbox
