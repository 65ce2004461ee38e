// Who dies with whom. A worker is gone when its tether's other end reads end of
// file.
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "base/pid_fd.h"
#include "base/status_matchers.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "sandbox/worker_runner.h"

namespace capbroker::sandbox {
namespace {

constexpr absl::Duration kPrompt = absl::Seconds(5);

int Idle() {
  if (write(kTether, "r", 1) != 1) return 1;
  for (;;) pause();
}

int StopItself() {
  if (write(kTether, "r", 1) != 1) return 1;
  kill(getpid(), SIGSTOP);
  for (;;) pause();
}

bool IsReady(const RunningWorker& worker) {
  pollfd event = {.fd = worker.tether.get(), .events = POLLIN, .revents = 0};
  char byte;
  return poll(&event, 1, 10000) == 1 && read(worker.tether.get(), &byte, 1) == 1;
}

// With all that the host offers, and without what ends a worker by itself.
class WorkerLifetimeTest : public ::testing::TestWithParam<LayerSet> {
 protected:
  WorkerLifetimeTest() : runner_(GetParam()) {}
  WorkerRunner runner_;
};
INSTANTIATE_TEST_SUITE_P(Layers, WorkerLifetimeTest,
                         ::testing::Values(LayerSet(), LayerSet{Layer::kPidNamespace},
                                           LayerSet{Layer::kUserNamespace},
                                           LayerSet{Layer::kUserNamespace, Layer::kPidNamespace}),
                         [](const auto& info) -> std::string {
                           return info.param.empty() ? "AllLayers"
                                                     : "Without" + std::to_string(info.index);
                         });

// INVARIANT(no-orphans)
TEST_P(WorkerLifetimeTest, DiesWithItsLifeline) {
  RunningWorker worker = runner_.Start(Idle);
  ASSERT_TRUE(IsReady(worker));
  worker.lifeline.Reset();
  EXPECT_TRUE(worker.IsGone(kPrompt));
  ASSERT_OK(worker.started.init.Wait());
}

TEST_P(WorkerLifetimeTest, DiesWithItsLifelineWhileItIsStopped) {
  RunningWorker worker = runner_.Start(StopItself);
  ASSERT_TRUE(IsReady(worker));
  worker.lifeline.Reset();
  EXPECT_TRUE(worker.IsGone(kPrompt));
  ASSERT_OK(worker.started.init.Wait());
}

TEST_P(WorkerLifetimeTest, DiesWhenItsLifelineIsShutDown) {
  RunningWorker worker = runner_.Start(Idle);
  ASSERT_TRUE(IsReady(worker));
  shutdown(worker.lifeline.get(), SHUT_RDWR);
  EXPECT_TRUE(worker.IsGone(kPrompt));
  ASSERT_OK(worker.started.init.Wait());
}

TEST_P(WorkerLifetimeTest, DiesWithItsInit) {
  RunningWorker worker = runner_.Start(StopItself);
  ASSERT_TRUE(IsReady(worker));
  const std::optional<Report> first = worker.Next();
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->kind, Report::Kind::kStarted);
  ASSERT_OK(worker.started.init.Signal(SIGKILL));
  EXPECT_TRUE(worker.IsGone(kPrompt));
  ASSERT_OK(worker.started.init.Wait());
  EXPECT_FALSE(worker.Next().has_value()) << "end of file, and no \"exited\"";
}

TEST_P(WorkerLifetimeTest, OutlivesItsInitsTerminationSignals) {
  RunningWorker worker = runner_.Start(Idle);
  ASSERT_TRUE(IsReady(worker));
  for (int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT}) {
    ASSERT_OK(worker.started.init.Signal(signal));
  }
  EXPECT_FALSE(worker.IsGone(absl::Milliseconds(50)));
  worker.lifeline.Reset();
  EXPECT_TRUE(worker.IsGone(kPrompt));
  ASSERT_OK(worker.started.init.Wait());
}

// The zygote is killed while its init is stopped and its lifeline is held by
// somebody else.
TEST_P(WorkerLifetimeTest, DiesWithItsZygoteEvenWhileTheInitIsStopped) {
  // Inits that lose their zygote become children of this process.
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
  auto [lifeline, workers_lifeline] = SocketPair(SOCK_SEQPACKET);
  auto [tether, workers_tether] = SocketPair(SOCK_STREAM);
  auto [note, zygotes_note] = SocketPair(SOCK_STREAM);
  const LayerSet off = GetParam();
  const pid_t zygote = fork();
  ASSERT_GE(zygote, 0);
  if (zygote == 0) {
    tether.Reset();
    WorkerRunner runner(off);
    Start start;
    start.lifeline = std::move(workers_lifeline);
    start.descriptors.push_back({std::move(workers_tether), kTether});
    absl::StatusOr<Started> started = runner.sandbox().Fork(std::move(start), Idle);
    if (!started.ok()) _exit(1);
    (void)!write(zygotes_note.get(), &started->init_pid, sizeof started->init_pid);
    for (;;) pause();
  }
  workers_lifeline.Reset();
  workers_tether.Reset();
  RunningWorker worker;
  worker.tether = std::move(tether);
  pid_t init = -1;
  ASSERT_EQ(read(note.get(), &init, sizeof init), static_cast<ssize_t>(sizeof init));
  ASSERT_TRUE(IsReady(worker));
  ASSERT_EQ(kill(init, SIGSTOP), 0);
  kill(zygote, SIGKILL);
  EXPECT_TRUE(worker.IsGone(kPrompt));
  while (waitpid(-1, nullptr, __WALL) > 0) {
  }
}

TEST_P(WorkerLifetimeTest, IsReapedByTheStarterWithoutSigchld) {
  static volatile sig_atomic_t signalled = 0;
  signalled = 0;
  signal(SIGCHLD, [](int) { signalled = 1; });
  EXPECT_EQ(runner_.Run([] { return 3; }).exit_code(), 3);
  EXPECT_EQ(signalled, 0);
  signal(SIGCHLD, SIG_DFL);
}

TEST_P(WorkerLifetimeTest, ReportsThoughTheApplicationIgnoresItsChildren) {
  signal(SIGCHLD, SIG_IGN);
  const Story story = runner_.Run([] { return 3; });
  EXPECT_EQ(story.exit_code(), 3) << story.text;
  signal(SIGCHLD, SIG_DFL);
}

}  // namespace
}  // namespace capbroker::sandbox
