// Broker::Start() is Linux's pdfork: what the application notices of its child.
#include <fcntl.h>
#include <grpc/grpc.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <thread>
#include <utility>

#include "base/status_matchers.h"
#include "broker/testing/descendants.h"
#include "broker/testing/probe_client.h"
#include "broker/testing/probe_service.h"
#include "client/broker.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace capbroker {
namespace {

using testing::Probe;
using testing::ProbeClient;
using testing::StatusIs;

std::atomic<int> signals_seen{0};

int WaitLong(Grants) {
  sleep(1000);
  return 0;
}

// Runs `body` in a child; its result is the exit code.
template <typename Body>
int InChild(Body body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

bool IsGone(int pid) { return kill(pid, 0) != 0 && errno == ESRCH; }

TEST(BrokerStartTest, GivesNoSigchldAndIsInvisibleToWait) {
  signals_seen = 0;
  struct sigaction count = {};
  count.sa_handler = [](int) { ++signals_seen; };
  struct sigaction before = {};
  ASSERT_EQ(sigaction(SIGCHLD, &count, &before), 0);
  {
    ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start());
    ASSERT_OK(broker.Inspect());
    EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD);
  }
  EXPECT_EQ(signals_seen, 0);
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG | __WALL), -1) << "the broker was not reaped";
  sigaction(SIGCHLD, &before, nullptr);
}

TEST(BrokerStartTest, IsNotDisturbedByAHandlerThatReapsAllChildren) {
  struct sigaction reap = {};
  reap.sa_handler = [](int) {
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  };
  struct sigaction before = {};
  ASSERT_EQ(sigaction(SIGCHLD, &reap, &before), 0);
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start());
  const pid_t other = fork();
  if (other == 0) _exit(0);
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> channel, broker.Open(Probe({"a"})));
  EXPECT_OK(ProbeClient(channel).Say("a"));
  sigaction(SIGCHLD, &before, nullptr);
  waitpid(other, nullptr, 0);
}

TEST(BrokerStartTest, DiesWithItsHandleAndTakesEverythingAlong) {
  testing::AdoptOrphans();
  v1::InspectResponse tree;
  {
    ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start());
    ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> channel, broker.Open(Probe({"a"})));
    ASSERT_OK(ProbeClient(channel).Say("a"));
    ASSERT_OK_AND_ASSIGN(tree, broker.Inspect());
    EXPECT_FALSE(IsGone(tree.zygote_process()));
  }
  EXPECT_TRUE(IsGone(tree.broker_process())) << "gone, and reaped, when the destructor returns";
  EXPECT_TRUE(testing::AllDescendantsEnd(absl::Seconds(10)));
  EXPECT_TRUE(IsGone(tree.zygote_process()));
  EXPECT_TRUE(IsGone(tree.families(0).process()));
}

// INVARIANT(fork-before-threads)
TEST(BrokerStartTest, IsRefusedInAProcessWithThreads) {
  std::atomic<bool> stop{false};
  std::thread other([&] {
    while (!stop) usleep(1000);
  });
  EXPECT_THAT(Broker::Start(),
              StatusIs(absl::StatusCode::kFailedPrecondition, ::testing::HasSubstr("thread")));
  stop = true;
  other.join();
  EXPECT_OK(Broker::Start());
}

// INVARIANT(fork-before-threads)
TEST(BrokerStartTest, IsRefusedWhenGrpcIsInUse) {
  EXPECT_EQ(InChild([] {
              grpc_init();
              return absl::IsFailedPrecondition(Broker::Start().status()) ? 0 : 1;
            }),
            0);
}

TEST(BrokerStartTest, HoldsNoDescriptorOfTheApplication) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);  // not close-on-exec: nothing may depend on that
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start());
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> channel, broker.Open(Probe({"a"})));
  ASSERT_OK(ProbeClient(channel).Say("a"));
  close(ends[1]);
  char byte;
  EXPECT_EQ(read(ends[0], &byte, 1), 0) << "somebody else has the write end";
  close(ends[0]);
}

TEST(BrokerStartTest, GivesServicesAFreshProcess) {
  // What an application may have done before.
  signal(SIGPIPE, SIG_IGN);
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigprocmask(SIG_BLOCK, &blocked, nullptr);
  const int leaked = open("/dev/null", O_RDONLY);
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start());
  sigprocmask(SIG_UNBLOCK, &blocked, nullptr);
  signal(SIGPIPE, SIG_DFL);
  close(leaked);
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> channel, broker.Open(Probe({})));
  ProbeClient probe(channel);
  ASSERT_OK_AND_ASSIGN(const testing::v1::LookResponse seen, probe.Look());
  EXPECT_EQ(seen.process_group(), seen.process());
  EXPECT_EQ(seen.name(), "Probe");
  EXPECT_FALSE(seen.dumpable());
  // Which would stop who writes to a terminal.
  EXPECT_THAT(seen.handled_or_ignored_signals(), ::testing::ElementsAre(SIGTTOU));
  for (const std::string& descriptor : seen.descriptors()) {
    if (descriptor[0] <= '2' && descriptor[1] == ' ') continue;
    EXPECT_TRUE(descriptor.find(" socket:") != std::string::npos ||
                descriptor.find(" anon_inode:") != std::string::npos)
        << descriptor;
  }
  // SIGTERM is not blocked: it ends the process, which is then succeeded.
  ASSERT_OK_AND_ASSIGN(const v1::InspectResponse before, broker.Inspect());
  kill(seen.process(), SIGTERM);
  EXPECT_TRUE(testing::Eventually([&] {
    const auto now = broker.Inspect();
    return now.ok() && now->families_size() == 1 && now->families(0).restarts() == 1;
  }));
}

TEST(BrokerStartTest, LivesUntilTheLastCopyOfItsHandleIsGone) {
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start());
  ASSERT_OK_AND_ASSIGN(Worker worker, broker.Launch({.entry = WaitLong}));
  ASSERT_OK_AND_ASSIGN(const v1::InspectResponse tree, broker.Inspect());
  // A fork of the application that gives its copies up takes nothing from the original.
  EXPECT_EQ(InChild([&] {
              if (!absl::IsFailedPrecondition(broker.Inspect().status())) return 1;
              { const Worker copy = std::move(worker); }
              { const Broker copy = std::move(broker); }
              return 0;
            }),
            0);
  EXPECT_FALSE(IsGone(tree.broker_process()));
  ASSERT_OK_AND_ASSIGN(const v1::InspectResponse after, broker.Inspect());
  EXPECT_EQ(after.workers_size(), 1);
}

TEST(BrokerStartTest, FailsWithNotFoundForAServiceThatIsNotLinked) {
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start());
  EXPECT_THAT(broker.Open({.service = "no.such.Service", .limits = {}}),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST(BrokerStartTest, RefusesLimitsOfAnotherService) {
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start());
  Authority authority = Probe({"a"});
  authority.limits.PackFrom(testing::v1::ProbeBudget());
  EXPECT_THAT(broker.Open(authority), StatusIs(absl::StatusCode::kInvalidArgument));
  ASSERT_OK_AND_ASSIGN(const v1::InspectResponse tree, broker.Inspect());
  EXPECT_EQ(tree.families_size(), 0);
}

// INVARIANT(empty-grants-nothing)
TEST(BrokerStartTest, AllowsNothingWithoutLimits) {
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start());
  Authority authority = Probe({"a"});
  authority.limits.Clear();
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> channel, broker.Open(authority));
  EXPECT_THAT(ProbeClient(channel).Say("a"), StatusIs(absl::StatusCode::kPermissionDenied));
}

}  // namespace
}  // namespace capbroker
