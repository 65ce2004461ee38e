// The tables of service processes, of the broker and of the zygote, without a kernel.
#include "sandbox/policies/service_policy.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <vector>

#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "sandbox/init.h"
#include "sandbox/policies/broker_policy.h"
#include "sandbox/policies/worker_policy.h"
#include "sandbox/policies/zygote_policy.h"
#include "sandbox/supervisor/supervisor.h"
#include "sandbox/table/filter_compiler.h"
#include "sandbox/table/filter_evaluator.h"
#include "sandbox/table/system_calls.h"

namespace capbroker::sandbox {
namespace {

constexpr uint64_t kPid = 7;
constexpr uint64_t kNonblock = SOCK_CLOEXEC | SOCK_NONBLOCK;

// "allow", "die", or the errno as a number.
class Table {
 public:
  explicit Table(const Policy& policy, DieAction die = DieAction::kNotifyListener) {
    const absl::StatusOr<CompiledFilter> filter = CompileFilter(policy, die, Architecture::kX86_64);
    EXPECT_OK(filter);
    if (filter.ok()) program_ = filter->Bind({0, kPid, 0, 0});
  }

  std::string operator()(const char* name, const std::vector<uint64_t>& arguments = {}) const {
    const int number = SystemCallNumber(name, Architecture::kX86_64).value_or(-1);
    EXPECT_GE(number, 0) << name;
    switch (const uint32_t action = Evaluate(number, arguments); action & SECCOMP_RET_ACTION_FULL) {
      case SECCOMP_RET_ALLOW:
        return "allow";
      case SECCOMP_RET_USER_NOTIF:
      case SECCOMP_RET_KILL_PROCESS:
        return "die";
      case SECCOMP_RET_TRACE:
        return "refuse";
      default:
        return std::to_string(action & SECCOMP_RET_DATA);
    }
  }

  uint32_t Evaluate(int number, const std::vector<uint64_t>& arguments) const {
    seccomp_data call = {};
    call.nr = number;
    call.arch = AUDIT_ARCH_X86_64;
    for (size_t i = 0; i < arguments.size(); ++i) call.args[i] = arguments[i];
    return EvaluateFilter(program_, call).value_or(0);
  }

 private:
  std::vector<sock_filter> program_;
};

std::string Errno(int number) { return std::to_string(number); }

TEST(ServicePolicyTest, WhatIsNotDeclaredFailsOrDies) {
  const Table table(ServicePolicy({}));
  for (const char* call :
       {"open", "openat", "access", "stat", "readlinkat", "getdents64", "unlinkat", "rename",
        "mkdir", "chmod", "connect", "bind", "listen", "accept4"}) {
    EXPECT_EQ(table(call), Errno(EACCES)) << call;
  }
  EXPECT_EQ(table("openat2"), Errno(ENOSYS));
  for (const uint64_t family : {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK, AF_PACKET, AF_VSOCK}) {
    for (const uint64_t type : {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET}) {
      EXPECT_EQ(table("socket", {family, type | kNonblock, 0}), Errno(EACCES)) << family;
    }
  }
  for (const char* call : {"execve",         "execveat",
                           "ptrace",         "process_vm_readv",
                           "unshare",        "setns",
                           "mount",          "bpf",
                           "io_uring_setup", "seccomp",
                           "setuid",         "setresuid",
                           "capset",         "userfaultfd",
                           "keyctl",         "perf_event_open",
                           "init_module",    "landlock_restrict_self",
                           "pidfd_getfd",    "process_madvise"}) {
    EXPECT_EQ(table(call), "die") << call;
  }
}

TEST(ServicePolicyTest, AProcessIsOneAndSignalsItselfAlone) {
  const Table table(ServicePolicy({}));
  EXPECT_EQ(table("clone", {0x3d0f00}), "allow") << "pthread_create";
  EXPECT_EQ(table("clone", {0x1200011}), "die") << "fork";
  EXPECT_EQ(table("clone", {0x3d0f00 | 0x10000000}), "die") << "a thread in a namespace";
  EXPECT_EQ(table("clone3"), Errno(ENOSYS));
  EXPECT_EQ(table("tgkill", {kPid, kPid, 6}), "allow");
  EXPECT_EQ(table("kill", {kPid + 1, 9}), Errno(EPERM));
  EXPECT_EQ(table("kill", {uint64_t(-1), 9}), Errno(EPERM));
  EXPECT_EQ(table("pidfd_send_signal"), Errno(EPERM));
  EXPECT_EQ(table("fcntl", {3, F_SETOWN, kPid + 1}), Errno(EPERM));
  EXPECT_EQ(table("fcntl", {3, F_SETSIG, 9}), Errno(EPERM));
  EXPECT_EQ(table("fcntl", {3, F_SETFL, O_ASYNC}), Errno(EPERM));
  EXPECT_EQ(table("fcntl", {3, F_SETFL, O_NONBLOCK}), "allow");
}

TEST(ServicePolicyTest, MemoryNeverBecomesCode) {
  const Table table(ServicePolicy({.serves_files = true}));
  EXPECT_EQ(table("mmap", {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, 3, 0}), Errno(EPERM));
  EXPECT_EQ(table("mprotect", {0, 4096, PROT_READ | PROT_EXEC}), Errno(EACCES));
  EXPECT_EQ(table("pkey_mprotect"), Errno(ENOSYS));
}

TEST(ServicePolicyTest, OneThatReadsFilesDoesNotWrite) {
  const Table table(ServicePolicy({.reads_files = true}));
  constexpr uint64_t kHere = static_cast<uint32_t>(AT_FDCWD);
  EXPECT_EQ(table("openat", {kHere, 0, O_RDONLY | O_CLOEXEC | O_DIRECTORY}), "allow");
  for (const uint64_t flag : {O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_TMPFILE}) {
    EXPECT_EQ(table("openat", {kHere, 0, flag}), Errno(EACCES)) << flag;
  }
  EXPECT_EQ(table("openat2"), Errno(ENOSYS)) << "its flags are in memory";
  EXPECT_EQ(table("unlinkat"), Errno(EACCES));
  const Table serving(ServicePolicy({.serves_files = true}));
  EXPECT_EQ(serving("openat", {kHere, 0, O_RDWR | O_CREAT}), "allow");
  EXPECT_EQ(serving("openat2"), "allow");
  EXPECT_EQ(serving("unlinkat"), "allow");
  EXPECT_EQ(serving("rename"), Errno(EACCES));
  EXPECT_EQ(serving("fchmod"), Errno(EPERM));
  EXPECT_EQ(serving("socket", {AF_INET, SOCK_STREAM, 0}), Errno(EACCES));
}

TEST(ServicePolicyTest, SocketsAreOfTheKindsThatAreDeclared) {
  const Table tcp(ServicePolicy({.tcp = true}));
  EXPECT_EQ(tcp("socket", {AF_INET6, SOCK_STREAM | kNonblock, IPPROTO_TCP}), "allow");
  EXPECT_EQ(tcp("socket", {AF_INET, SOCK_STREAM, 262 /* MPTCP */}), Errno(EACCES))
      << "Landlock does not know its ports";
  EXPECT_EQ(tcp("socket", {AF_INET, SOCK_DGRAM, 0}), Errno(EACCES));
  EXPECT_EQ(tcp("socket", {AF_UNIX, SOCK_STREAM, 0}), Errno(EACCES));
  EXPECT_EQ(tcp("connect"), "allow");
  EXPECT_EQ(tcp("bind"), Errno(EACCES));
  EXPECT_EQ(tcp("sendto", {3, 0, 0, MSG_FASTOPEN, 0, 0}), Errno(EACCES)) << "connects";
  EXPECT_EQ(tcp("sendmsg", {3, 0, MSG_FASTOPEN}), Errno(EINVAL));
  EXPECT_EQ(tcp("sendto", {3, 0, 0, 0, 0x1000, 16}), Errno(EACCES)) << "an address";
  EXPECT_EQ(tcp("listen"), Errno(EACCES));
  const Table servers(ServicePolicy({.tcp_servers = true}));
  EXPECT_EQ(servers("socket", {AF_INET6, SOCK_STREAM | kNonblock, IPPROTO_TCP}), "allow");
  EXPECT_EQ(servers("socket", {AF_INET, SOCK_STREAM, 262 /* MPTCP */}), Errno(EACCES));
  EXPECT_EQ(servers("socket", {AF_INET, SOCK_DGRAM, 0}), Errno(EACCES));
  EXPECT_EQ(servers("bind"), "allow");
  EXPECT_EQ(servers("listen"), "allow");
  for (const char* name : {"connect", "accept", "accept4"}) {
    EXPECT_EQ(servers(name), Errno(EACCES)) << name;
  }
  const Table udp(ServicePolicy({.udp = true}));
  EXPECT_EQ(udp("socket", {AF_INET, SOCK_DGRAM | kNonblock, IPPROTO_UDP}), "allow");
  EXPECT_EQ(udp("socket", {AF_INET, SOCK_DGRAM, IPPROTO_ICMP}), Errno(EACCES));
  EXPECT_EQ(udp("socket", {AF_INET, SOCK_STREAM, 0}), Errno(EACCES));
  EXPECT_EQ(udp("socket", {AF_INET, SOCK_RAW, IPPROTO_UDP}), Errno(EACCES));
  const Table local(ServicePolicy({.local_sockets = true}));
  EXPECT_EQ(local("socket", {AF_UNIX, SOCK_STREAM | kNonblock, 0}), "allow");
  EXPECT_EQ(local("socket", {AF_INET, SOCK_STREAM, 0}), Errno(EACCES));
  const Table routes(ServicePolicy({.routes = true}));
  EXPECT_EQ(routes("socket", {AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE}), "allow");
  EXPECT_EQ(routes("socket", {AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER}), Errno(EACCES));
}

TEST(ServicePolicyTest, DeclaredCallsAreAllowedAndNothingBesideThem) {
  const Table table(ServicePolicy({.more_calls = {"io_uring_setup", "mkdir", "mmap"}}));
  EXPECT_EQ(table("io_uring_setup"), "allow");
  EXPECT_EQ(table("mkdir"), "allow");
  EXPECT_EQ(table("mmap", {0, 4096, PROT_EXEC, 0, 0, 0}), "allow");
  EXPECT_EQ(table("mkdirat"), Errno(EACCES)) << "of the same row";
  EXPECT_EQ(table("io_uring_enter"), "die");
}

TEST(ServicePolicyTest, TablesCompileForBothArchitectures) {
  for (const auto architecture : {Architecture::kX86_64, Architecture::kAArch64}) {
    for (const Policy& policy :
         {ServicePolicy({}), ServicePolicy({.reads_files = true, .tcp = true, .udp = true}),
          BrokerPolicy(), ZygotePolicy()}) {
      EXPECT_OK(CompileFilter(policy, DieAction::kKillProcess, architecture));
    }
  }
}

TEST(BrokerPolicyTest, StartsNothingAndOpensNothing) {
  const Table table(BrokerPolicy(), DieAction::kKillProcess);
  for (const char* call :
       {"clone",          "execve",  "execveat", "connect",          "bind",       "socket",
        "ptrace",         "mount",   "unshare",  "seccomp",          "unlink",     "rename",
        "mkdir",          "openat2", "kcmp",     "process_vm_readv", "pidfd_open", "pidfd_getfd",
        "io_uring_setup", "bpf"}) {
    EXPECT_EQ(table(call), "die") << call;
  }
  EXPECT_EQ(table("openat"), Errno(EACCES)) << "libraries probe";
  EXPECT_EQ(table("fcntl", {3, F_SETOWN, 1}), "die");
  EXPECT_EQ(table("mmap", {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, 3, 0}), Errno(EPERM));
  EXPECT_EQ(table("kill", {1, 9}), Errno(EPERM));
  EXPECT_EQ(table("socketpair", {AF_INET}), "die");
}

TEST(ZygotePolicyTest, RefusesWhatNoProcessOfTheTreeDoes) {
  const Table table(ZygotePolicy(), DieAction::kRefuse);
  for (const char* call :
       {"ptrace",        "bpf",     "io_uring_setup", "perf_event_open", "userfaultfd",
        "keyctl",        "add_key", "request_key",    "init_module",     "finit_module",
        "kexec_load",    "reboot",  "swapon",         "settimeofday",    "clock_settime",
        "iopl",          "ioperm",  "modify_ldt",     "delete_module",   "open_by_handle_at",
        "fanotify_init", "acct",    "quotactl",       "shmget",          "msgget",
        "semget"}) {
    EXPECT_EQ(table(call), "refuse") << call;
  }
}

// A filter that is inherited must not stand in the way of those below it: what they allow is
// allowed, whatever the arguments, and costs nothing.
TEST(ZygotePolicyTest, AllowsWhatItsChildrenAreAllowed) {
  const Policy zygote = ZygotePolicy();
  const Table table(zygote, DieAction::kRefuse);
  for (const Row& row : zygote.rows()) {
    EXPECT_TRUE(row.clauses().empty()) << row.reason();
    EXPECT_EQ(*row.otherwise(), Allow()) << row.reason();
  }
  for (const Policy& child :
       {WorkerPolicy({.kind = WorkerTable::Kind::kForked, .resizes_files = true}),
        WorkerPolicy({.kind = WorkerTable::Kind::kExecuted, .supervised = true}), InitPolicy(),
        SupervisorPolicy(), SupervisorPolicy({.sight = DescriptorSight::kHandles}),
        ServicePolicy({.serves_files = true, .udp = true})}) {
    const Table below(child);
    for (const Row& row : child.rows()) {
      for (const std::string& call : row.calls()) {
        if (!SystemCallNumber(call, Architecture::kX86_64).has_value()) continue;
        if (below(call.c_str()) != "allow") continue;
        EXPECT_EQ(table(call.c_str()), "allow") << call;
      }
    }
  }
}

// Of two filters the kernel takes the lower value: what dies by a child's own table goes to the
// listener, and is told.
TEST(ZygotePolicyTest, IsLessStrictThanAListener) {
  EXPECT_LT(SECCOMP_RET_USER_NOTIF, SECCOMP_RET_TRACE);
  EXPECT_LT(SECCOMP_RET_TRACE, SECCOMP_RET_ALLOW);
}

}  // namespace
}  // namespace capbroker::sandbox
