#include "base/pid_fd.h"

#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <optional>

#include "base/status_matchers.h"

namespace capbroker {
namespace {

using ::capbroker::testing::StatusIs;

PidFd StartChild(int (*body)()) {
  absl::StatusOr<Cloned> child = CloneProcess({});
  if (!child.ok()) return PidFd();
  if (child->pid == 0) _exit(body());
  return std::move(child->process);
}

TEST(PidFdTest, WaitReturnsTheExitCode) {
  PidFd child = StartChild([] { return 7; });
  ASSERT_OK_AND_ASSIGN(ProcessEnd end, child.Wait());
  EXPECT_EQ(end.exit_code, 7);
  EXPECT_EQ(end.signal, 0);
}

TEST(PidFdTest, WaitReturnsTheSignal) {
  PidFd child = StartChild([] { return pause(); });
  ASSERT_OK_AND_ASSIGN(const std::optional<ProcessEnd> running, child.TryWait());
  EXPECT_FALSE(running.has_value());
  ASSERT_OK(child.Signal(SIGKILL));
  ASSERT_OK_AND_ASSIGN(ProcessEnd end, child.Wait());
  EXPECT_EQ(end.signal, SIGKILL);
}

TEST(PidFdTest, ASecondWaitFindsNothing) {
  PidFd child = StartChild([] { return 0; });
  ASSERT_OK(child.Wait());
  EXPECT_THAT(child.Wait(), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_OK(child.Signal(SIGTERM));
}

TEST(PidFdTest, ChildWithoutExitSignalIsInvisibleToWait) {
  PidFd child = StartChild([] { return 3; });
  siginfo_t info;
  // WNOWAIT on the pidfd: the child has ended, and wait() still sees nothing.
  ASSERT_EQ(waitid(static_cast<idtype_t>(3), static_cast<id_t>(child.fd().get()), &info,
                   WEXITED | WNOWAIT | static_cast<int>(__WALL)),
            0);
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
  ASSERT_OK(child.Wait());
}

// As Docker's default profile has it.
TEST(PidFdTest, ChildIsMadeWhereClone3IsNotThere) {
  PidFd tester = StartChild([] {
    sock_filter filter[] = {
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_clone3},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
    };
    const sock_fprog program = {4, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
      return 1;
    }
    // The older call knows nothing of handlers.
    signal(SIGUSR1, [](int) { _exit(6); });
    absl::StatusOr<Cloned> cleared = CloneProcess({.flags = CLONE_CLEAR_SIGHAND});
    if (!cleared.ok()) return 5;
    if (cleared->pid == 0) {
      raise(SIGUSR1);
      _exit(7);
    }
    const absl::StatusOr<ProcessEnd> cleared_end = cleared->process.Wait();
    if (!cleared_end.ok() || cleared_end->signal != SIGUSR1) return 6;
    const PidFd child = StartChild([] { return 5; });
    if (!child.valid()) return 2;
    if (waitpid(-1, nullptr, WNOHANG) != -1) return 3;
    const absl::StatusOr<ProcessEnd> end = child.Wait();
    return end.ok() && end->exit_code == 5 ? 0 : 4;
  });
  ASSERT_OK_AND_ASSIGN(const ProcessEnd end, tester.Wait());
  EXPECT_EQ(end.exit_code, 0);
}

}  // namespace
}  // namespace capbroker
