#include "base/pid_fd.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
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

}  // namespace
}  // namespace capbroker
