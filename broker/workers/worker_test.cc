// Workers: what they are given, how they end, and what is left.
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/status_matchers.h"
#include "broker/testing/descendants.h"
#include "broker/testing/probe_client.h"
#include "broker/testing/probe_service.h"
#include "client/broker.h"
#include "gtest/gtest.h"

namespace capbroker {
namespace {

using testing::Eventually;
using testing::Probe;
using testing::ProbeClient;
using testing::StatusIs;

int SayInput(Grants grants) {
  const auto channel = grants.Channel("probe");
  return channel.ok() && ProbeClient(*channel).Say(grants.input()).ok() ? 0 : 1;
}
int ReturnInput(Grants grants) { return grants.input()[0]; }
int Abort(Grants) { abort(); }
int Trace(Grants) { return static_cast<int>(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)) + 50; }
int SleepLong(Grants) {
  sleep(1000);
  return 0;
}
int Spin(Grants) {
  volatile uint64_t turns = 0;
  while (true) turns = turns + 1;
}
int WriteOutput(Grants) { return write(1, "hello", 5) == 5 ? 0 : 1; }
int CountDescriptors(Grants grants) {
  int open = 0;
  struct stat status;
  for (int fd = 0; fd < 64; ++fd) open += fstat(fd, &status) == 0;
  return open * 10 + static_cast<int>(grants.names().size());
}
// That are set, or were when the program was started.
int CountVariables(Grants) {
  int count = environ != nullptr && *environ != nullptr;
  const char* const end = reinterpret_cast<const char*>(getauxval(AT_EXECFN));
  const char path[] = "PATH=";
  count += memmem(end - 512, 512, path, sizeof path - 1) != nullptr;
  return count;
}
// Names that were not granted give a stub that fails, not one that crashes.
int UseMissingGrant(Grants grants) {
  if (!absl::IsNotFound(grants.Channel("nothing").status())) return 1;
  ProbeClient probe(grants.Stub<testing::v1::Probe>("nothing"));
  return absl::IsUnavailable(probe.Say("a").status()) ? 0 : 2;
}
int WaitForRevocation(Grants grants) {
  ProbeClient probe(grants.Stub<testing::v1::Probe>("probe"));
  if (!probe.Say("a").ok()) return 1;
  (void)!write(1, "x", 1);
  while (true) {
    const absl::Status status = probe.Say("a").status();
    if (absl::IsPermissionDenied(status)) return 33;
    if (!status.ok()) return 2;
    usleep(1000);
  }
}

class WorkerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<Broker> started = Broker::Start();
    ASSERT_OK(started);
    broker_ = std::make_unique<Broker>(*std::move(started));
  }

  WorkerEnd Run(WorkerOptions options) {
    absl::StatusOr<Worker> worker = broker_->Launch(std::move(options));
    EXPECT_OK(worker);
    return worker.ok() ? worker->Wait() : WorkerEnd();
  }

  int families() { return broker_->Inspect()->families_size(); }

  std::unique_ptr<Broker> broker_;
};

TEST_F(WorkerTest, CallsWhatItWasGrantedAndNothingElse) {
  EXPECT_EQ(Run({.entry = SayInput, .grants = {{"probe", Probe({"a"})}}, .input = "a"}).exit_code(),
            0);
  EXPECT_EQ(Run({.entry = SayInput, .grants = {{"probe", Probe({"a"})}}, .input = "b"}).exit_code(),
            1);
  EXPECT_EQ(Run({.entry = UseMissingGrant}).exit_code(), 0);
}

TEST_F(WorkerTest, ExitsWithWhatItsEntryReturns) {
  for (const int code : {0, 1, 17, 255}) {
    const std::string input(1, static_cast<char>(code));
    const WorkerEnd end = Run({.entry = ReturnInput, .input = input});
    EXPECT_EQ(end.exit_code(), static_cast<unsigned char>(code));
    EXPECT_EQ(end.signal(), 0);
    EXPECT_EQ(end.reason(), "");
  }
}

TEST_F(WorkerTest, HasItsInputAsItIs) {
  std::string input(300'000, '\0');
  input[0] = 77;
  EXPECT_EQ(Run({.entry = ReturnInput, .input = input}).exit_code(), 77);
}

TEST_F(WorkerTest, TellsTheSignalThatKilledIt) {
  const WorkerEnd end = Run({.entry = Abort});
  EXPECT_EQ(end.signal(), SIGABRT) << end.ToString();
  EXPECT_EQ(end.exit_code(), 128 + SIGABRT);
  EXPECT_EQ(end.violation(), "");
}

// INVARIANT(default-deny)
TEST_F(WorkerTest, TellsTheSystemCallThatItWasKilledFor) {
  const WorkerEnd end = Run({.entry = Trace});
  EXPECT_EQ(end.violation(), "ptrace") << end.ToString();
  EXPECT_NE(end.exit_code(), 0);
}

TEST_F(WorkerTest, HasItsGrantsAndStandardStreamsOpenAndNothingElse) {
  // 0 to 2 and two channels; the birth message is closed when it was read.
  EXPECT_EQ(
      Run({.entry = CountDescriptors, .grants = {{"one", Probe({"a"})}, {"two", Probe({"a"})}}})
          .exit_code(),
      52);
}

TEST_F(WorkerTest, HasNoVariableOfTheApplications) {
  ASSERT_NE(getenv("PATH"), nullptr);
  EXPECT_EQ(Run({.entry = CountVariables}).exit_code(), 0);
}

TEST_F(WorkerTest, WritesToTheStandardOutputThatItWasGiven) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  EXPECT_EQ(Run({.entry = WriteOutput, .standard_output = UniqueFd(ends[1])}).exit_code(), 0);
  char text[6] = {};
  EXPECT_EQ(read(ends[0], text, 5), 5);
  EXPECT_STREQ(text, "hello");
  EXPECT_EQ(read(ends[0], text, 5), 0) << "nobody else has the pipe";
  close(ends[0]);
}

TEST_F(WorkerTest, IsKilledAtItsBoundOfWallTime) {
  const WorkerEnd end = Run({.entry = SleepLong, .bounds = {.wall_time = absl::Milliseconds(100)}});
  EXPECT_EQ(end.signal(), SIGKILL);
  EXPECT_EQ(end.reason(), "wall_time");
}

TEST_F(WorkerTest, IsKilledAtItsBoundOfCpuTime) {
  const WorkerEnd end = Run({.entry = Spin, .bounds = {.cpu_time = absl::Seconds(1)}});
  EXPECT_TRUE(end.signal() == SIGXCPU || end.signal() == SIGKILL) << end.ToString();
  EXPECT_EQ(end.reason(), "cpu_time");
  EXPECT_GE(end.usage().user_time + end.usage().system_time, absl::Milliseconds(500));
}

TEST_F(WorkerTest, DiesWithItsHandle) {
  {
    ASSERT_OK_AND_ASSIGN(Worker worker, broker_->Launch({.entry = SleepLong}));
    EXPECT_EQ(broker_->Inspect()->workers_size(), 1);
  }
  EXPECT_TRUE(Eventually([&] { return broker_->Inspect()->workers_size() == 0; }));
}

TEST_F(WorkerTest, OutlivesAHandleThatWasDetached) {
  {
    ASSERT_OK_AND_ASSIGN(Worker worker, broker_->Launch({.entry = SleepLong}));
    worker.Detach();
  }
  usleep(100'000);
  EXPECT_EQ(broker_->Inspect()->workers_size(), 1);
}

TEST_F(WorkerTest, IsWaitedForByManyThreadsAndForATime) {
  ASSERT_OK_AND_ASSIGN(Worker worker, broker_->Launch({.entry = SleepLong}));
  EXPECT_EQ(worker.WaitFor(absl::Milliseconds(50)), std::nullopt);
  std::vector<std::thread> threads;
  std::vector<int> signals(4);
  for (int& signal : signals) threads.emplace_back([&] { signal = worker.Wait().signal(); });
  usleep(20'000);
  EXPECT_OK(worker.Kill());
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(signals, std::vector<int>(4, SIGKILL));
  EXPECT_EQ(worker.Wait().reason(), "killed by the application");
}

TEST_F(WorkerTest, LosesWhatIsRevoked) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  ASSERT_OK_AND_ASSIGN(Worker worker, broker_->Launch({.entry = WaitForRevocation,
                                                       .grants = {{"probe", Probe({"a"})}},
                                                       .standard_output = UniqueFd(ends[1])}));
  char byte;
  ASSERT_EQ(read(ends[0], &byte, 1), 1);
  close(ends[0]);
  ASSERT_OK_AND_ASSIGN(const Revocation revoked, broker_->RevokeGrants(worker));
  EXPECT_EQ(revoked.channels, 1);
  EXPECT_EQ(worker.Wait().exit_code(), 33);
}

TEST_F(WorkerTest, LosesOneGrantAndKeepsTheOthers) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> mine, broker_->Open(Probe({"a"})));
  ASSERT_OK_AND_ASSIGN(std::shared_ptr<Channel> given, mine->Clone());
  ASSERT_OK_AND_ASSIGN(Worker worker,
                       broker_->Launch({.entry = WaitForRevocation,
                                        .grants = {{"other", Probe({"b"})}, {"probe", given}},
                                        .standard_output = UniqueFd(ends[1])}));
  char byte;
  ASSERT_EQ(read(ends[0], &byte, 1), 1);
  close(ends[0]);
  EXPECT_THAT(broker_->RevokeGrant(worker, "no such"), StatusIs(absl::StatusCode::kNotFound));
  ASSERT_OK_AND_ASSIGN(const Revocation revoked, broker_->RevokeGrant(worker, "probe"));
  EXPECT_EQ(revoked.channels, 1);
  EXPECT_EQ(worker.Wait().exit_code(), 33);
  // Only what the worker had of it.
  EXPECT_OK(testing::ProbeClient(mine).Say("a"));
}

// INVARIANT(one-holder-per-end)
TEST_F(WorkerTest, IsGivenAChannelThatTheApplicationThenHasNoMore) {
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> channel, broker_->Open(Probe({"a", "b"})));
  testing::v1::ProbeLimits narrower;
  narrower.add_words("a");
  ASSERT_OK(channel->Narrow(narrower));
  EXPECT_EQ(Run({.entry = SayInput, .grants = {{"probe", channel}}, .input = "a"}).exit_code(), 0);
  EXPECT_THAT(ProbeClient(channel).Say("a"), StatusIs(absl::StatusCode::kUnavailable));
}

// INVARIANT(fail-closed)
TEST_F(WorkerTest, ThatCannotStartLeavesNothingOpen) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the shadow memory is beyond an executed worker's bound: its stack cannot grow";
#endif
  EXPECT_THAT(broker_->Launch({.program = "/etc/passwd", .grants = {{"probe", Probe({"a"})}}}),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_TRUE(Eventually([&] { return families() == 0; }));
  EXPECT_EQ(broker_->Inspect()->workers_size(), 0);
}

TEST_F(WorkerTest, IsNotStartedWithAGrantThatCannotBeHad) {
  EXPECT_THAT(
      broker_->Launch({.entry = SayInput,
                       .grants = {{"probe", Probe({"a"})},
                                  {"other", Authority{.service = "no.such", .limits = {}}}}}),
      StatusIs(absl::StatusCode::kNotFound));
  EXPECT_TRUE(Eventually([&] { return families() == 0; }));
}

TEST_F(WorkerTest, NeedsOptionsThatMakeSense) {
  EXPECT_THAT(broker_->Launch({}), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(broker_->Launch({.entry = Abort, .program = "/bin/true"}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(broker_->Launch({.entry = Abort, .grants = {{"a", Probe({})}, {"a", Probe({})}}}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(broker_->Launch({.program = "/no/such/program"}),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(WorkerTest, FiftyAtOnceCall) {
  std::vector<Worker> workers;
  for (int i = 0; i < 50; ++i) {
    absl::StatusOr<Worker> worker =
        broker_->Launch({.entry = SayInput, .grants = {{"probe", Probe({"a"})}}, .input = "a"});
    ASSERT_OK(worker) << i;
    workers.push_back(*std::move(worker));
  }
  for (Worker& worker : workers) EXPECT_EQ(worker.Wait().exit_code(), 0);
  workers.clear();
  EXPECT_TRUE(Eventually([&] { return families() == 0; }));
}

TEST_F(WorkerTest, LeavesNoDescriptorInTheBroker) {
  const auto run = [&] {
    EXPECT_EQ(
        Run({.entry = SayInput, .grants = {{"probe", Probe({"a"})}}, .input = "a"}).exit_code(), 0);
    EXPECT_TRUE(Eventually([&] { return families() == 0; }));
  };
  run();
  const uint32_t before = broker_->Inspect()->broker_descriptors();
  ASSERT_GT(before, 0u);
  for (int i = 0; i < 40; ++i) run();
  EXPECT_LE(broker_->Inspect()->broker_descriptors(), before);
}

}  // namespace
}  // namespace capbroker
