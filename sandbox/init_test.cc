// The init itself is confined, too: its table, and what the kernel says of a
// running one.
#include "sandbox/init.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "sandbox/table/filter_compiler.h"
#include "sandbox/table/filter_evaluator.h"
#include "sandbox/table/system_calls.h"
#include "sandbox/worker_runner.h"

namespace capbroker::sandbox {
namespace {

constexpr uint64_t kWorker = 2;

class InitPolicyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(CompiledFilter filter, CompileFilter(InitPolicy(), DieAction::kKillProcess,
                                                              Architecture::kX86_64));
    program_ = filter.Bind({0, kWorker, 0, 0, static_cast<uint32_t>(-kWorker)});
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

TEST_F(InitPolicyTest, KillsItsWorkerAndNobodyElse) {
  EXPECT_TRUE(Allows("kill", {kWorker, SIGKILL}));
  EXPECT_FALSE(Allows("kill", {kWorker, SIGTERM}));
  EXPECT_FALSE(Allows("kill", {kWorker + 1, SIGKILL}));
  // Its process group, for signals that are passed on.
  EXPECT_TRUE(Allows("kill", {static_cast<uint32_t>(-kWorker), SIGTERM}));
  EXPECT_FALSE(Allows("kill", {static_cast<uint32_t>(-kWorker - 1), SIGTERM}));
  EXPECT_FALSE(Allows("kill", {0, SIGKILL}));
  EXPECT_FALSE(Allows("kill", {~uint64_t{0}, SIGKILL}));
}

TEST_F(InitPolicyTest, ReceivesViolationsAndNeverAnswersThem) {
  EXPECT_TRUE(Allows("ioctl", {5, SECCOMP_IOCTL_NOTIF_RECV}));
  EXPECT_FALSE(Allows("ioctl", {5, SECCOMP_IOCTL_NOTIF_SEND}));
  EXPECT_FALSE(Allows("ioctl", {5, SECCOMP_IOCTL_NOTIF_ADDFD}));
}

TEST_F(InitPolicyTest, SendsOnlyReports) {
  EXPECT_TRUE(Allows("sendto", {0, 0x1000, sizeof(Report), 0, 0, 0}));
  EXPECT_FALSE(Allows("sendto", {1, 0x1000, sizeof(Report), 0, 0, 0}));
  EXPECT_FALSE(Allows("sendto", {0, 0x1000, sizeof(Report), 0, 0x1000, 16}));
}

TEST_F(InitPolicyTest, HasNothingElse) {
  int allowed = 0;
  for (int number = 0; number < 600; ++number) allowed += Allows(number, {});
  // Without the three rows above, which want arguments.
  EXPECT_EQ(allowed, 8 + 1) << "and sendto, for which zeros are arguments";
  for (const char* name : {"open", "openat", "mmap", "mprotect", "fork", "clone", "execve",
                           "socket", "write", "sendmsg"}) {
    EXPECT_FALSE(Allows(name)) << name;
  }
}

// "0" for the field "Seccomp" of the status file's line "Seccomp:\t0".
std::string StatusField(pid_t pid, const std::string& name) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/status"));
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(name + ":\t", 0) == 0) return line.substr(name.size() + 2);
  }
  return "";
}

TEST(InitTest, RunsUnderItsTableWithoutCapabilities) {
  WorkerRunner runner;
  const std::string before = StatusField(getpid(), "Seccomp_filters");
  RunningWorker worker = runner.Start([] {
    char byte;
    return read(kTether, &byte, 1) == 1 ? 0 : 1;
  });
  ASSERT_EQ(worker.Next().value_or(Report{}).kind, Report::Kind::kStarted);
  // It confines itself before it reports the start.
  const pid_t init = worker.started.init_pid;
  EXPECT_EQ(StatusField(init, "Seccomp"), "2");
  EXPECT_EQ(std::stoi(StatusField(init, "Seccomp_filters")), std::stoi(before) + 1);
  EXPECT_EQ(StatusField(init, "NoNewPrivs"), "1");
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"}) {
    EXPECT_EQ(StatusField(init, set), "0000000000000000") << set;
  }
  EXPECT_EQ(StatusField(init, "Threads"), "1");
  ASSERT_EQ(write(worker.tether.get(), "x", 1), 1);
  EXPECT_EQ(Collect(std::move(worker)).exit_code(), 0);
}

}  // namespace
}  // namespace capbroker::sandbox
