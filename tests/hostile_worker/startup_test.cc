// Starts that go wrong at every step: a call that a start makes fails, or kills whoever makes it,
// and processes are killed at any moment of a start. There is a confined worker afterwards, or
// none; never one that is less confined than it says, and nothing that hangs or is left.
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "broker/testing/descendants.h"
#include "client/broker.h"
#include "gtest/gtest.h"

namespace capbroker::hostile {
namespace {

using testing::AllDescendantsEnd;
using testing::ChildrenOf;
using testing::Eventually;

// What became of a start.
enum Outcome { kRefused = 10, kConfined = 11, kUnconfined = 12, kSomethingLeft = 13 };

constexpr int kFine = 42;

// A worker that looks at its own confinement.
int Look(Grants) {
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 1;
  if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != SECCOMP_MODE_FILTER) return 2;
  if (open("/etc/passwd", O_RDONLY) >= 0 || errno != EACCES) return 3;
  if (syscall(SYS_fork) >= 0 || errno != EPERM) return 4;
  return kFine;
}

bool Answer(int call, uint32_t action) {
  sock_filter program[] = {
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, static_cast<uint32_t>(call)},
      {BPF_RET | BPF_K, 0, 0, action},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
  };
  const sock_fprog filter = {4, program};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0;
}

Outcome LaunchOne() {
  absl::StatusOr<Broker> broker = Broker::Start();
  if (!broker.ok()) return kRefused;
  absl::StatusOr<Worker> worker = broker->Launch({.entry = Look});
  if (!worker.ok()) return kRefused;
  const int code = worker->Wait().exit_code();
  // It has said that it had started; that it was killed later is not less confined.
  return code == kFine || code > 128 ? kConfined : kUnconfined;
}

// In a process of its own, whose every call number `call` ends in `action`.
int OutcomeWith(int call, uint32_t action) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(40);
    testing::AdoptOrphans();
    if (!Answer(call, action)) _exit(1);
    const Outcome outcome = LaunchOne();
    _exit(AllDescendantsEnd(absl::Seconds(10)) ? outcome : kSomethingLeft);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

struct Step {
  const char* name;
  int call;
};

constexpr Step kSteps[] = {
    {"clone3", SYS_clone3},
    {"setsid", SYS_setsid},
    {"setpgid", SYS_setpgid},
    {"chdir", SYS_chdir},
    {"capset", SYS_capset},
    {"setresuid", SYS_setresuid},
    {"setresgid", SYS_setresgid},
    {"setgroups", SYS_setgroups},
    {"landlock_create_ruleset", 444},
    {"landlock_restrict_self", 446},
    {"mount", SYS_mount},
    {"fsopen", SYS_fsopen},
    {"fsconfig", SYS_fsconfig},
    {"fsmount", SYS_fsmount},
    {"move_mount", SYS_move_mount},
    {"pivot_root", SYS_pivot_root},
    {"umount2", SYS_umount2},
    {"sethostname", SYS_sethostname},
    {"setdomainname", SYS_setdomainname},
    {"seccomp", SYS_seccomp},
    {"prlimit64", SYS_prlimit64},
    {"dup3", SYS_dup3},
    {"signalfd4", SYS_signalfd4},
    {"personality", SYS_personality},
    {"clone", SYS_clone},
    {"recvmsg", SYS_recvmsg},
    {"poll", SYS_poll},
};

class StepTest : public ::testing::TestWithParam<Step> {};
INSTANTIATE_TEST_SUITE_P(Steps, StepTest, ::testing::ValuesIn(kSteps),
                         [](const auto& info) { return std::string(info.param.name); });

// INVARIANT(fail-closed)
TEST_P(StepTest, ThatFailsLeavesAConfinedWorkerOrNone) {
  const int outcome = OutcomeWith(GetParam().call, SECCOMP_RET_ERRNO | EPERM);
  EXPECT_TRUE(outcome == kRefused || outcome == kConfined) << outcome;
}

// INVARIANT(fail-closed)
TEST_P(StepTest, ThatKillsLeavesAConfinedWorkerOrNone) {
  const int outcome = OutcomeWith(GetParam().call, SECCOMP_RET_KILL_PROCESS);
  // The application itself makes some of these calls.
  EXPECT_TRUE(outcome == kRefused || outcome == kConfined || outcome == -SIGSYS) << outcome;
}

// INVARIANT(no-hang)
TEST(StartupTest, KilledAtAnyMomentIsAnErrorOrAnEnd) {
  absl::StatusOr<Broker> broker = Broker::Start();
  ASSERT_TRUE(broker.ok()) << broker.status();
  ASSERT_TRUE(broker->Launch({.entry = Look}).ok());
  const pid_t application = getpid();
  const pid_t killer = fork();
  if (killer == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (unsigned round = 0;; ++round) {
      for (const int broker_process : ChildrenOf(application)) {
        for (const int zygote : ChildrenOf(broker_process)) {
          for (const int init : ChildrenOf(zygote)) {
            usleep(round * 97 % 3000);
            kill(init, SIGKILL);
          }
        }
      }
    }
  }
  int refused = 0, ended = 0;
  for (int i = 0; i < 150; ++i) {
    absl::StatusOr<Worker> worker = broker->Launch({.entry = Look});
    if (!worker.ok()) {
      ++refused;
      continue;
    }
    ++ended;
    const int code = worker->Wait().exit_code();
    EXPECT_TRUE(code == kFine || code > 128) << code;
  }
  kill(killer, SIGKILL);
  waitpid(killer, nullptr, 0);
  EXPECT_EQ(refused + ended, 150);
  EXPECT_GT(refused, 0) << "nobody was killed while it started";
  EXPECT_TRUE(Eventually([&] { return broker->Inspect()->workers_size() == 0; }));
  EXPECT_EQ(broker->Launch({.entry = Look})->Wait().exit_code(), kFine);
}

}  // namespace
}  // namespace capbroker::hostile
