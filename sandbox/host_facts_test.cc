// What is found out about hosts that forbid something. Each test makes such a
// host of a forked child.
#include "sandbox/host_facts.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/match.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "sandbox/layers/identity.h"
#include "sandbox/table/seccomp.h"
#include "sandbox/worker_runner.h"

namespace capbroker::sandbox {
namespace {

// Runs `body` in a child with a time limit; its result is the exit code.
int InChild(absl::FunctionRef<int()> body) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(30);
    _exit(body());
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

bool WriteTo(const char* path, const char* text) {
  const UniqueFd file(open(path, O_WRONLY | O_CLOEXEC));
  return write(file.get(), text, strlen(text)) == static_cast<ssize_t>(strlen(text));
}

constexpr int kCannotTest = 77;

// In a user namespace that may have no further ones.
bool ForbidUserNamespaces() {
  const Ids outside = {geteuid(), getegid()};
  return unshare(CLONE_NEWUSER) == 0 && MapOwnIds(outside).ok() &&
         WriteTo("/proc/sys/user/max_user_namespaces", "0\n");
}

TEST(HostFactsTest, SaysWhatEveryLayerIsMissingFor) {
  const HostFacts facts = ProbeHost();
  EXPECT_TRUE(facts.offered.HasAll(kAlwaysInForce));
  for (int i = 0; i < kLayerCount; ++i) {
    const Layer layer = static_cast<Layer>(i);
    EXPECT_NE(facts.offered.Has(layer), facts.forbidden.count(layer) == 1) << LayerName(layer);
    EXPECT_TRUE(absl::StrContains(facts.ToString(), LayerName(layer)));
  }
}

TEST(HostFactsTest, NamesTheSettingThatForbidsUserNamespaces) {
  const int result = InChild([] {
    if (!ForbidUserNamespaces()) return kCannotTest;
    const HostFacts facts = ProbeHost();
    if (facts.offered.Has(Layer::kUserNamespace)) return 1;
    const auto why = facts.forbidden.find(Layer::kUserNamespace);
    if (why == facts.forbidden.end()) return 2;
    if (!absl::StrContains(why->second, "user.max_user_namespaces=0")) return 3;
    const absl::StatusOr<WorkerSandbox> refused = WorkerSandbox::Prepare({Layer::kUserNamespace});
    if (refused.status().code() != absl::StatusCode::kFailedPrecondition) return 4;
    if (!absl::StrContains(refused.status().message(), "user.max_user_namespaces=0")) return 5;
    return 0;
  });
  if (result == kCannotTest) GTEST_SKIP() << "no user namespaces to begin with";
  EXPECT_EQ(result, 0);
}

TEST(HostFactsTest, StartsWorkersOnTheFloorWithoutUserNamespaces) {
  const int result = InChild([] {
    if (!ForbidUserNamespaces()) return kCannotTest;
    WorkerRunner runner({}, kRequired);
    const Story story = runner.Run([] {
      ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
      return 99;
    });
    return story.started && story.signal() > 0 ? 0 : 1;
  });
  if (result == kCannotTest) GTEST_SKIP() << "no user namespaces to begin with";
  EXPECT_EQ(result, 0);
}

// As inside of another sandbox that answers system calls: there can be only one
// listener.
TEST(HostFactsTest, DoesWithoutReportsUnderAnothersListener) {
  const int result = InChild([] {
    constexpr sock_filter kAllowAll[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    UniqueFd listener;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        !InstallFilterWithListener(kAllowAll, listener).ok()) {
      return kCannotTest;
    }
    const HostFacts facts = ProbeHost();
    if (facts.offered.Has(Layer::kViolationReports)) return 1;
    if (!facts.offered.Has(Layer::kSystemCallTable)) return 2;
    WorkerRunner runner;
    const Story story = runner.Run([] {
      ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
      return 99;
    });
    return story.signal() == SIGSYS && !story.violation ? 0 : 3;
  });
  if (result == kCannotTest) GTEST_SKIP() << "there is a listener already";
  EXPECT_EQ(result, 0);
}

TEST(HostFactsTest, OffersNoUidsToAnOrdinaryUser) {
  const int result = InChild([] {
    if (!ForbidUserNamespaces()) return kCannotTest;  // one uid is all that is left
    const HostFacts facts = ProbeHost();
    return !facts.may_assign_uids && !facts.offered.Has(Layer::kUnprivilegedUid) ? 0 : 1;
  });
  if (result == kCannotTest) GTEST_SKIP() << "no user namespaces to begin with";
  EXPECT_EQ(result, 0);
}

// INVARIANT(fail-closed)
TEST(HostFactsTest, NoWorkerStartsOnTheTableAlone) {
  const int result = InChild([] {
    if (!ForbidUserNamespaces() || !DropCapabilities().ok()) return kCannotTest;
    if (!ProbeHost().CheckFloor().ok()) return kCannotTest;  // no Landlock to begin with
    constexpr sock_filter kNoLandlock[] = {
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_landlock_create_ruleset},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EOPNOTSUPP},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
    };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !InstallFilter(kNoLandlock).ok()) return 1;
    const HostFacts facts = ProbeHost();
    if (!facts.offered.Has(Layer::kSystemCallTable)) return 2;
    const absl::Status floor = facts.CheckFloor();
    if (floor.code() != absl::StatusCode::kFailedPrecondition) return 3;
    return absl::StrContains(floor.message(), "landlock:") &&
                   absl::StrContains(floor.message(), "user.max_user_namespaces=0")
               ? 0
               : 4;
  });
  if (result == kCannotTest) GTEST_SKIP() << "no user namespaces, or no Landlock, to begin with";
  EXPECT_EQ(result, 0);
}

}  // namespace
}  // namespace capbroker::sandbox
