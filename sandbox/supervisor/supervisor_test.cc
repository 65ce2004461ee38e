// The supervisor itself is confined, too: its table, and what the kernel says of a running one.
#include "sandbox/supervisor/supervisor.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "sandbox/supervisor/supervised_fixture.h"
#include "sandbox/table/filter_compiler.h"
#include "sandbox/table/filter_evaluator.h"
#include "sandbox/table/system_calls.h"

namespace capbroker::sandbox {
namespace {

class SupervisorPolicyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(
        CompiledFilter filter,
        CompileFilter(SupervisorPolicy(), DieAction::kKillProcess, Architecture::kX86_64));
    program_ = filter.Bind({});
  }

  bool Allows(int number, const std::vector<uint64_t>& arguments) {
    seccomp_data call = {};
    call.nr = number;
    call.arch = AUDIT_ARCH_X86_64;
    for (size_t i = 0; i < arguments.size(); ++i) call.args[i] = arguments[i];
    const absl::StatusOr<uint32_t> action = EvaluateFilter(program_, call);
    EXPECT_OK(action);
    return action.value_or(SECCOMP_RET_KILL_PROCESS) == SECCOMP_RET_ALLOW;
  }
  bool Allows(const char* name, const std::vector<uint64_t>& arguments = {}) {
    return Allows(*SystemCallNumber(name, Architecture::kX86_64), arguments);
  }

  std::vector<sock_filter> program_;
};

TEST_F(SupervisorPolicyTest, WalksFromDescriptorsOnly) {
  constexpr uint64_t kHere = static_cast<uint32_t>(AT_FDCWD);
  for (const char* name : {"openat2", "readlinkat", "mkdirat", "unlinkat"}) {
    EXPECT_TRUE(Allows(name, {4})) << name;
    EXPECT_FALSE(Allows(name, {kHere})) << name;
    EXPECT_FALSE(Allows(name, {~uint64_t{0} << 32 | kHere})) << name;
  }
  EXPECT_TRUE(Allows("renameat2", {4, 0, 5}));
  EXPECT_FALSE(Allows("renameat2", {kHere, 0, 5}));
  EXPECT_FALSE(Allows("renameat2", {4, 0, kHere}));
  EXPECT_TRUE(Allows("newfstatat", {4, 0, 0, AT_EMPTY_PATH}));
  EXPECT_FALSE(Allows("newfstatat", {4, 0, 0, 0}));
  EXPECT_FALSE(Allows("newfstatat", {kHere, 0, 0, AT_EMPTY_PATH}));
  for (const char* name : {"open", "openat", "creat", "stat", "chdir", "fchdir", "linkat",
                           "symlinkat", "fchmodat", "fchown", "fchownat", "fsetxattr"}) {
    EXPECT_FALSE(Allows(name, {4})) << name;
  }
  EXPECT_TRUE(Allows("utimensat", {4, 0, 0x1000, 0}));
  EXPECT_FALSE(Allows("utimensat", {4, 0x1000, 0x1000, 0}));
}

TEST_F(SupervisorPolicyTest, TouchesNobodyButItsWorker) {
  for (const char* name : {"kill", "tgkill", "ptrace", "pidfd_send_signal", "socket", "connect",
                           "sendmsg", "recvmsg", "write", "fork", "clone", "clone3", "execve",
                           "mount", "setns", "seccomp", "prctl", "io_uring_setup"}) {
    EXPECT_FALSE(Allows(name, {4})) << name;
  }
  EXPECT_FALSE(Allows("sendto", {5, 0x1000, 8, 0, 0, 0}));
  EXPECT_FALSE(Allows("sendto", {0, 0x1000, 8, 0, 0x1000, 16}));
  EXPECT_FALSE(Allows("pidfd_getfd", {4, 0, 1}));
}

// INVARIANT(default-deny)
TEST_F(SupervisorPolicyTest, ChangesItsIdsOnlyWhereItLooksThroughProc) {
  EXPECT_TRUE(Allows("pidfd_getfd", {4, 0, 0}));
  EXPECT_FALSE(Allows("setfsuid", {0}));
  ASSERT_OK_AND_ASSIGN(CompiledFilter filter,
                       CompileFilter(SupervisorPolicy({.sight = DescriptorSight::kHandles}),
                                     DieAction::kKillProcess, Architecture::kX86_64));
  program_ = filter.Bind({});
  for (const char* name : {"setfsuid", "setfsgid"}) EXPECT_TRUE(Allows(name, {0})) << name;
  EXPECT_TRUE(Allows("prctl", {PR_SET_PDEATHSIG, SIGKILL}));
  EXPECT_TRUE(Allows("prctl", {PR_SET_DUMPABLE, 0}));
  EXPECT_FALSE(Allows("prctl", {PR_SET_PDEATHSIG, 0}));
  EXPECT_FALSE(Allows("prctl", {PR_SET_DUMPABLE, 1}));
  EXPECT_FALSE(Allows("prctl", {PR_SET_PTRACER, 0}));
  for (const char* name : {"setresuid", "setuid", "setgroups", "pidfd_open", "pidfd_getfd", "kcmp",
                           "open", "openat", "ptrace"}) {
    EXPECT_FALSE(Allows(name, {4})) << name;
  }
}

// INVARIANT(default-deny)
TEST_F(SupervisorPolicyTest, SpeaksOnItsChannelsOnlyWhereThereAreConnections) {
  EXPECT_FALSE(Allows("sendmsg", {8}));
  ASSERT_OK_AND_ASSIGN(CompiledFilter filter,
                       CompileFilter(SupervisorPolicy({.connects = true}), DieAction::kKillProcess,
                                     Architecture::kX86_64));
  program_ = filter.Bind({});
  for (const char* name : {"sendmsg", "recvmsg"}) {
    for (const uint64_t channel : {8, 15}) EXPECT_TRUE(Allows(name, {channel})) << name;
    for (const uint64_t other : {0, 2, 4, 7, 16, 17}) EXPECT_FALSE(Allows(name, {other})) << name;
  }
  EXPECT_TRUE(Allows("socketpair", {AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0}));
  EXPECT_FALSE(Allows("socketpair", {AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0}));
  EXPECT_FALSE(Allows("sendto", {20, 0x1000, 8, 0, 0x1000, 16}));
  EXPECT_FALSE(Allows("recvfrom", {20, 0x1000, 8, 0, 0x1000, 0x1000}));
  for (const char* name : {"socket", "connect", "bind", "listen", "accept4", "kill", "write",
                           "clone", "execve", "sendmmsg"}) {
    EXPECT_FALSE(Allows(name, {20})) << name;
  }
}

TEST_F(SupervisorPolicyTest, MakesNoCode) {
  EXPECT_TRUE(Allows("mmap", {0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS}));
  EXPECT_FALSE(Allows("mmap", {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS}));
  EXPECT_FALSE(Allows("mmap", {0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, 4}));
  EXPECT_FALSE(Allows("mprotect", {0, 4096, PROT_READ}));
}

// "0" for the field "Seccomp" of the status file's line "Seccomp:\t0".
std::string StatusField(pid_t pid, const std::string& name) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/status"));
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(name + ":\t", 0) == 0) return line.substr(name.size() + 2);
  }
  return "";
}

std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/task/", pid, "/children"));
  std::vector<pid_t> children;
  for (pid_t child; file >> child;) children.push_back(child);
  return children;
}

class SupervisorTest : public ::testing::Test {
 protected:
  RunningWorker StartWaiting() {
    Start start;
    start.supervision.emplace().files = {FileGrant::ReadTree(files_.Path("data"))};
    RunningWorker worker = runner_.Start(
        [] {
          char byte;
          return read(kTether, &byte, 1) == 1 ? 0 : 1;
        },
        std::move(start));
    EXPECT_EQ(worker.Next().value_or(Report{}).kind, Report::Kind::kStarted);
    return worker;
  }

  Files files_;
  WorkerRunner runner_;
};

TEST_F(SupervisorTest, RunsUnderItsTableWithoutCapabilities) {
  const int before = std::stoi(StatusField(getpid(), "Seccomp_filters"));
  RunningWorker worker = StartWaiting();
  const std::vector<pid_t> children = ChildrenOf(worker.started.init_pid);
  ASSERT_EQ(children.size(), 2u);
  const pid_t supervisor = children[0];
  EXPECT_EQ(StatusField(supervisor, "Seccomp"), "2");
  EXPECT_EQ(std::stoi(StatusField(supervisor, "Seccomp_filters")), before + 1);
  EXPECT_EQ(StatusField(supervisor, "NoNewPrivs"), "1");
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"}) {
    EXPECT_EQ(StatusField(supervisor, set), "0000000000000000") << set;
  }
  EXPECT_EQ(StatusField(supervisor, "Groups"), StatusField(children[1], "Groups"));
  // Files as the zygote, processes as the worker.
  const std::string uid = StatusField(children[1], "Uid");
  const std::string real = uid.substr(0, uid.find('\t')), mine = absl::StrCat(geteuid());
  EXPECT_EQ(StatusField(supervisor, "Uid"), absl::StrCat(real, "\t", mine, "\t", mine, "\t", mine));
  ASSERT_EQ(write(worker.tether.get(), "x", 1), 1);
  EXPECT_EQ(Collect(std::move(worker)).exit_code(), 0);
}

// INVARIANT(fail-closed)
TEST_F(SupervisorTest, EndsItsWorkerByItsOwnEnd) {
  RunningWorker worker = StartWaiting();
  const std::vector<pid_t> children = ChildrenOf(worker.started.init_pid);
  ASSERT_EQ(children.size(), 2u);
  ASSERT_EQ(kill(children[0], SIGKILL), 0);
  EXPECT_TRUE(worker.IsGone());
  const Story story = Collect(std::move(worker));
  EXPECT_EQ(story.signal(), SIGKILL) << story.text;
  EXPECT_FALSE(story.violation.has_value());
}

class SupervisorsEndTest : public ::testing::TestWithParam<Setting> {
 protected:
  Files files_;
};
INSTANTIATE_TEST_SUITE_P(Layers, SupervisorsEndTest,
                         ::testing::Values(Setting{{Layer::kPidNamespace}}, kHandles,
                                           kHandlesOfOneUser),
                         NameOf);

// INVARIANT(no-orphans)
TEST_P(SupervisorsEndTest, IsItsInitsAlsoWhileItWaitsForAFile) {
  ASSERT_EQ(mkfifo(files_.Path("data/fifo").c_str(), 0644), 0);
  WorkerRunner runner(GetParam().off, {}, GetParam().most);
  Start start;
  start.supervision.emplace().files = {FileGrant::ReadTree(files_.Path("data"))};
  RunningWorker worker = runner.Start(
      [&] {
        // Where it takes other ids to look at a descriptor, the kernel takes the death signal back.
        const int data = open(files_.Path("data").c_str(), O_RDONLY | O_DIRECTORY);
        return openat(data, "fifo", O_RDONLY) >= 0 ? 0 : 1;
      },
      std::move(start));
  ASSERT_EQ(worker.Next().value_or(Report{}).kind, Report::Kind::kStarted);
  const std::vector<pid_t> children = ChildrenOf(worker.started.init_pid);
  ASSERT_EQ(children.size(), 2u);
  usleep(100000);  // until it waits
  ASSERT_OK(worker.started.init.Signal(SIGKILL));
  EXPECT_TRUE(worker.IsGone());
  ASSERT_OK(worker.started.init.Wait());
  for (int i = 0; i < 300 && kill(children[0], 0) == 0; ++i) usleep(10000);
  EXPECT_NE(kill(children[0], 0), 0);
}

}  // namespace
}  // namespace capbroker::sandbox
