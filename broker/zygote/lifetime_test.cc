// Nothing outlives the application, and nothing but that takes the whole tree along.
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/status_matchers.h"
#include "broker/testing/descendants.h"
#include "broker/testing/probe_client.h"
#include "broker/testing/probe_service.h"
#include "client/broker.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace capbroker {
namespace {

using testing::AllDescendantsEnd;
using testing::ChildrenOf;
using testing::Eventually;
using testing::Probe;
using testing::ProbeClient;
using testing::StatusIs;

int SleepLong(Grants) {
  sleep(1000);
  return 0;
}

int Quit(Grants) { return 5; }

// Whether the heap that this worker was born with has the bytes of its input, each
// changed so that the input itself is not found.
constexpr char kMask = 0x55;
char* heap_start = nullptr;

// Where the heap begins, which no worker can see.
char* FindHeap() {
  std::ifstream maps("/proc/self/maps");
  std::string line;
  while (std::getline(maps, line)) {
    if (line.find("[heap]") == std::string::npos) continue;
    return reinterpret_cast<char*>(std::stoull(line, nullptr, 16));
  }
  return nullptr;
}

int SearchHeap(Grants grants) {
  const std::string& masked = grants.input();
  const char* const end = static_cast<char*>(sbrk(0)) - masked.size();
  for (const char* at = heap_start; at < end; ++at) {
    size_t same = 0;
    while (same < masked.size() && at[same] == (masked[same] ^ kMask)) ++same;
    if (same == masked.size()) return 1;
  }
  return 0;
}

// An application that does all that a broker can do for it, again and again.
[[noreturn]] void BeBusyApplication() {
  Broker broker = Broker::StartOrDie();
  std::vector<Worker> workers;
  std::vector<std::shared_ptr<Channel>> channels;
  while (true) {
    absl::StatusOr<std::shared_ptr<Channel>> channel = broker.Open(Probe({"a"}));
    if (channel.ok()) {
      (void)ProbeClient(*channel).Say("a");
      channels.push_back(*std::move(channel));
    }
    absl::StatusOr<Worker> worker =
        broker.Launch({.entry = SleepLong, .grants = {{"probe", Probe({"a"})}}});
    if (worker.ok()) workers.push_back(*std::move(worker));
    if (workers.size() > 8) {
      workers.clear();
      channels.clear();
    }
  }
}

// INVARIANT(no-orphans)
TEST(LifetimeTest, NothingOutlivesAnApplicationThatIsKilledAtAnyMoment) {
  testing::AdoptOrphans();
  std::minstd_rand random(static_cast<unsigned>(getpid()));
  for (int round = 0; round < 30; ++round) {
    const pid_t application = fork();
    if (application == 0) BeBusyApplication();
    usleep(random() % 60'000);
    const int signals[] = {SIGKILL, SIGSEGV, SIGTERM};
    kill(application, signals[round % 3]);
    ASSERT_TRUE(AllDescendantsEnd(absl::Seconds(20))) << "round " << round;
  }
}

// INVARIANT(no-orphans)
TEST(LifetimeTest, NothingOutlivesTheApplicationEvenIfItIsStopped) {
  testing::AdoptOrphans();
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t application = fork();
  if (application == 0) {
    Broker broker = Broker::StartOrDie();
    auto channel = broker.Open(Probe({"a"}));
    auto worker = broker.Launch({.entry = SleepLong});
    const auto process = ProbeClient(*channel).Say("a");
    const auto tree = broker.Inspect();
    if (!worker.ok() || !process.ok() || !tree.ok()) _exit(1);
    kill(*process, SIGSTOP);
    kill(tree->zygote_process(), SIGSTOP);
    kill(tree->broker_process(), SIGSTOP);
    (void)!write(ends[1], "x", 1);
    while (true) pause();
  }
  close(ends[1]);
  char byte;
  ASSERT_EQ(read(ends[0], &byte, 1), 1);
  close(ends[0]);
  kill(application, SIGKILL);
  EXPECT_TRUE(AllDescendantsEnd(absl::Seconds(20)));
}

std::string NameOf(int process) {
  std::string name;
  std::getline(std::ifstream("/proc/" + std::to_string(process) + "/comm"), name);
  return name;
}

class TreeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<Broker> started = Broker::Start();
    ASSERT_OK(started);
    broker_ = std::make_unique<Broker>(*std::move(started));
  }

  v1::InspectResponse Tree() { return broker_->Inspect().value_or(v1::InspectResponse()); }

  std::unique_ptr<Broker> broker_;
};

TEST_F(TreeTest, KilledBrokerIsToldOfEverywhere) {
  testing::AdoptOrphans();
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> channel, broker_->Open(Probe({"a"})));
  ASSERT_OK(ProbeClient(channel).Say("a"));
  ASSERT_OK_AND_ASSIGN(Worker worker, broker_->Launch({.entry = SleepLong}));
  kill(Tree().broker_process(), SIGKILL);
  const WorkerEnd end = worker.Wait();
  EXPECT_EQ(end.signal(), SIGKILL);
  EXPECT_NE(end.reason(), "");
  EXPECT_THAT(broker_->Inspect(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(broker_->Open(Probe({"a"})), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_TRUE(
      Eventually([&] { return absl::IsUnavailable(ProbeClient(channel).Say("a").status()); }));
  broker_.reset();
  EXPECT_TRUE(AllDescendantsEnd(absl::Seconds(10)));
}

TEST_F(TreeTest, KilledZygoteIsReplacedAndItsChildrenGoOn) {
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> channel, broker_->Open(Probe({"a"})));
  ProbeClient probe(channel);
  ASSERT_OK_AND_ASSIGN(const int process, probe.Say("a"));
  ASSERT_OK_AND_ASSIGN(Worker worker, broker_->Launch({.entry = SleepLong}));
  const v1::InspectResponse before = Tree();
  kill(before.zygote_process(), SIGKILL);
  ASSERT_TRUE(Eventually([&] {
    const int zygote = Tree().zygote_process();
    return zygote != 0 && zygote != before.zygote_process();
  }));
  // What the old one has forked still serves, and its end is still seen.
  EXPECT_EQ(probe.Say("a").value_or(-1), process);
  ASSERT_OK(worker.Kill());
  EXPECT_EQ(worker.Wait().signal(), SIGKILL);
  (void)probe.Die(SIGKILL);
  ASSERT_OK_AND_ASSIGN(const int successor, probe.Say("a"));
  EXPECT_NE(successor, process);
  // And the new one forks.
  ASSERT_OK_AND_ASSIGN(Worker another, broker_->Launch({.entry = Quit}));
  EXPECT_EQ(another.Wait().exit_code(), 5);
  // Nobody stays a zombie of the broker.
  EXPECT_TRUE(Eventually([&] {
    const v1::InspectResponse tree = Tree();
    for (const int child : ChildrenOf(tree.broker_process())) {
      if (child == tree.zygote_process() || NameOf(child) == "reserve") continue;
      bool known = false;
      for (const auto& family : tree.families()) known |= family.process() == child;
      if (!known) return false;
    }
    return true;
  }));
}

TEST_F(TreeTest, ServiceProcessesMayHaveHalfTheDescriptorsOfTheBroker) {
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> channel, broker_->Open(Probe({"a"})));
  ASSERT_OK_AND_ASSIGN(const int service, ProbeClient(channel).Say("a"));
  rlimit brokers;
  rlimit services;
  ASSERT_EQ(prlimit(Tree().broker_process(), RLIMIT_NOFILE, nullptr, &brokers), 0);
  ASSERT_EQ(prlimit(service, RLIMIT_NOFILE, nullptr, &services), 0);
  EXPECT_EQ(brokers.rlim_cur, brokers.rlim_max);
  EXPECT_LE(services.rlim_max, brokers.rlim_max / 2);
}

TEST_F(TreeTest, WorkersOfAReplacedZygoteKnowNothingOfTheBroker) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizer's allocator has no [heap]";
#endif
  // Another broker, which knows where to look.
  broker_.reset();
  heap_start = FindHeap();
  ASSERT_NE(heap_start, nullptr);
  SetUp();
  const std::string secret = "granted-" + std::to_string(std::random_device()());
  std::string masked = secret;
  for (char& c : masked) c = static_cast<char>(c ^ kMask);
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> channel, broker_->Open(Probe({secret})));
  const auto search = [&] {
    absl::StatusOr<Worker> worker = absl::UnavailableError("not tried");
    // A zygote that was killed may not be dead yet.
    EXPECT_TRUE(Eventually([&] {
      worker = broker_->Launch({.entry = SearchHeap, .input = masked});
      return !absl::IsUnavailable(worker.status());
    }));
    EXPECT_OK(worker);
    return worker.ok() ? worker->Wait().exit_code() : -1;
  };
  EXPECT_EQ(search(), 0);
  for (int i = 0; i < 2; ++i) {
    const int zygote = Tree().zygote_process();
    kill(zygote, SIGKILL);
    ASSERT_TRUE(Eventually([&] {
      const int now = Tree().zygote_process();
      return now != zygote && !ChildrenOf(now).empty();
    }));
    EXPECT_EQ(search(), 0) << "replaced " << i + 1;
  }
  // Without a spare, too.
  const int zygote = Tree().zygote_process();
  kill(zygote, SIGSTOP);
  for (const int spare : ChildrenOf(zygote)) kill(spare, SIGKILL);
  kill(zygote, SIGKILL);
  ASSERT_TRUE(Eventually([&] { return Tree().zygote_process() != zygote; }));
  EXPECT_EQ(search(), 0) << "from the reserve";
  // The search does find what is there: this broker's zygote has the test's own memory.
  const auto known = std::make_unique<std::string>(secret);
  SetUp();
  EXPECT_EQ(search(), 1);
}

TEST_F(TreeTest, ZygoteThatIsKilledAgainAndAgainComesBackWhenItIsNeeded) {
  for (int i = 0; i < 7; ++i) {
    const int zygote = Tree().zygote_process();
    if (zygote == 0) break;
    kill(zygote, SIGKILL);
    ASSERT_TRUE(Eventually([&] { return Tree().zygote_process() != zygote; }));
  }
  EXPECT_TRUE(Eventually([&] {
    absl::StatusOr<Worker> worker = broker_->Launch({.entry = Quit});
    return worker.ok() && worker->Wait().exit_code() == 5;
  }));
}

TEST_F(TreeTest, StoppedZygoteHoldsNobodyUp) {
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> channel, broker_->Open(Probe({"a"})));
  const int zygote = Tree().zygote_process();
  ASSERT_NE(zygote, 0);
  kill(zygote, SIGSTOP);
  const absl::Time start = absl::Now();
  EXPECT_OK(ProbeClient(channel).Say("a"));
  EXPECT_OK(broker_->Inspect());
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));
  kill(zygote, SIGCONT);
  EXPECT_OK(broker_->Open(Probe({"a"})));
}

// Of this process, and so of its broker: CAP_SETPCAP in effect.
bool HasSetPcap() {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.rfind("CapEff:", 0) == 0) {
      return (std::stoull(line.substr(7), nullptr, 16) >> 8 & 1) != 0;
    }
  }
  return false;
}

// The value of a line of /proc/<process>/status.
std::string TextOfStatus(int process, const std::string& key) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.rfind(key + ":", 0) == 0)
      return line.substr(line.find_first_not_of(" \t", key.size() + 1));
  }
  return "-1";
}

int StatusOf(int process, const std::string& key) {
  return std::atoi(TextOfStatus(process, key).c_str());
}

TEST_F(TreeTest, NoServiceAndNoZygoteCanGainCapabilities) {
  if (!HasSetPcap()) GTEST_SKIP() << "nothing to gain";
  const auto expect_empty_set = [](int process) {
    EXPECT_THAT(TextOfStatus(process, "CapBnd"), ::testing::MatchesRegex("0+")) << process;
  };
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> channel, broker_->Open(Probe({"a"})));
    ASSERT_OK(ProbeClient(channel).Say("a"));
    const v1::InspectResponse tree = Tree();
    expect_empty_set(tree.zygote_process());
    expect_empty_set(tree.families(0).process());
    EXPECT_THAT(TextOfStatus(tree.families(0).process(), "CapPrm"), ::testing::MatchesRegex("0+"));
    kill(tree.zygote_process(), SIGKILL);
    ASSERT_TRUE(Eventually([&] {
      const int now = Tree().zygote_process();
      return now != 0 && now != tree.zygote_process();
    }));
  }
}

// sandbox/policies/service_policy_test.cc says what is in them. INVARIANT(default-deny)
TEST_F(TreeTest, BrokerAndEveryZygoteHaveTheirTable) {
  const int outside = StatusOf(getpid(), "Seccomp_filters");
  ASSERT_GE(outside, 0) << "a kernel that does not count them";
  for (int i = 0; i < 3; ++i) {
    const v1::InspectResponse tree = Tree();
    for (const int process : {tree.broker_process(), tree.zygote_process()}) {
      EXPECT_EQ(StatusOf(process, "Seccomp_filters"), outside + 1) << i;
      EXPECT_EQ(StatusOf(process, "NoNewPrivs"), 1);
    }
    // One that takes over has no more of them.
    kill(tree.zygote_process(), SIGKILL);
    ASSERT_TRUE(Eventually([&] {
      const int now = Tree().zygote_process();
      return now != 0 && now != tree.zygote_process() && !ChildrenOf(now).empty();
    }));
  }
}

TEST_F(TreeTest, BrokerAndZygoteHaveOneThread) {  // INVARIANT(fork-before-threads)
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> channel, broker_->Open(Probe({"a"})));
  ASSERT_OK(ProbeClient(channel).Say("a"));
  const v1::InspectResponse tree = Tree();
  for (const int process : {tree.broker_process(), tree.zygote_process()}) {
    std::ifstream status("/proc/" + std::to_string(process) + "/status");
    std::string line;
    bool found = false;
    while (std::getline(status, line)) {
      if (line.rfind("Threads:", 0) != 0) continue;
      found = true;
      EXPECT_EQ(line, "Threads:\t1");
    }
    EXPECT_TRUE(found);
  }
}

}  // namespace
}  // namespace capbroker
