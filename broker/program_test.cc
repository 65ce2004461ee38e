// Brokers and workers that are programs of their own.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <thread>
#include <utility>

#include "base/status_matchers.h"
#include "broker/testing/descendants.h"
#include "broker/testing/probe_client.h"
#include "broker/testing/probe_service.h"
#include "client/broker.h"
#include "gtest/gtest.h"

namespace capbroker {
namespace {

using testing::Probe;
using testing::ProbeClient;
using testing::StatusIs;

// Where Bazel puts them, or wherever a developer has.
std::string Program(const std::string& name) {
  const char* const folder = getenv("PROBE_PROGRAMS");
  return (folder != nullptr ? std::string(folder) : "broker/testing") + "/" + name;
}

std::atomic<int> signals_seen{0};

int Quit(Grants) { return 5; }

WorkerOptions ProbeWorker() {
  return {.program = Program("probe_worker"),
          .arguments = {"argument"},
          .environment = {"VARIABLE=value"},
          .grants = {{"probe", Probe({"a"})}},
          .input = "a"};
}

TEST(WorkerProgramTest, TakesItsGrantsFromItsDescriptors) {
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start());
  ASSERT_OK_AND_ASSIGN(Worker worker, broker.Launch(ProbeWorker()));
  const WorkerEnd end = worker.Wait();
  EXPECT_EQ(end.exit_code(), 17) << end.ToString();
}

TEST(BrokerProgramTest, StartsFromAProcessWithThreads) {
  std::atomic<bool> stop{false};
  std::thread other([&] {
    while (!stop) usleep(1000);
  });
  struct sigaction count = {};
  count.sa_handler = [](int) { ++signals_seen; };
  struct sigaction before = {};
  sigaction(SIGCHLD, &count, &before);
  {
    ASSERT_OK_AND_ASSIGN(Broker broker, Broker::StartProgram(Program("probe_broker")));
    ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> channel, broker.Open(Probe({"a"})));
    EXPECT_OK(ProbeClient(channel).Say("a"));
    ASSERT_OK_AND_ASSIGN(Worker worker, broker.Launch(ProbeWorker()));
    EXPECT_EQ(worker.Wait().exit_code(), 17);
    EXPECT_EQ(waitpid(-1, nullptr, WNOHANG | __WALL), -1);
    EXPECT_EQ(errno, ECHILD);
  }
  EXPECT_EQ(signals_seen, 0);
  sigaction(SIGCHLD, &before, nullptr);
  stop = true;
  other.join();
}

TEST(BrokerProgramTest, RefusesAnEntryOfTheApplication) {
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::StartProgram(Program("probe_broker")));
  EXPECT_THAT(broker.Launch({.entry = Quit}), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST(BrokerProgramTest, DiesWithItsHandle) {
  testing::AdoptOrphans();
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::StartProgram(Program("probe_broker")));
  ASSERT_OK_AND_ASSIGN(const v1::InspectResponse tree, broker.Inspect());
  { const Broker gone = std::move(broker); }
  EXPECT_TRUE(testing::AllDescendantsEnd(absl::Seconds(10)));
  EXPECT_NE(kill(tree.broker_process(), 0), 0);
}

// INVARIANT(no-orphans)
TEST(BrokerProgramTest, DiesWithAnApplicationThatIsKilledAtAnyMoment) {
  testing::AdoptOrphans();
  for (int round = 0; round < 20; ++round) {
    const pid_t application = fork();
    if (application == 0) {
      absl::StatusOr<Broker> broker = Broker::StartProgram(Program("probe_broker"));
      while (broker.ok()) (void)broker->Open(Probe({"a"}));
      _exit(1);
    }
    usleep(static_cast<useconds_t>(round) * 3'000);
    kill(application, SIGKILL);
    ASSERT_TRUE(testing::AllDescendantsEnd(absl::Seconds(20))) << "round " << round;
  }
}

TEST(BrokerProgramTest, ThatCannotBeExecutedIsAnError) {
  EXPECT_THAT(Broker::StartProgram("/no/such/program"), StatusIs(absl::StatusCode::kNotFound));
}

TEST(BrokerProgramTest, SaysWhatItIsWhenSomebodyElseStartsIt) {
  const pid_t child = fork();
  if (child == 0) {
    close(2);
    const std::string program = Program("probe_broker");
    execl(program.c_str(), program.c_str(), nullptr);
    _exit(1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 2);
}

}  // namespace
}  // namespace capbroker
