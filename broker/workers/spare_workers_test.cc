// Workers from spares: like any others to who starts them, and there when they are asked for.
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <functional>
#include <memory>
#include <set>
#include <string>
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

using testing::AllDescendantsEnd;
using testing::ChildrenOf;
using testing::Eventually;
using testing::Probe;
using testing::ProbeClient;
using testing::StatusIs;

// Tells that it runs, and waits for the end of its input first.
template <int (*entry)(Grants)>
int Held(Grants grants) {
  char byte = 0;
  if (write(STDIN_FILENO, &byte, 1) != 1) return 99;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  return entry(std::move(grants));
}
int SayInput(Grants grants) {
  return ProbeClient(grants.Stub<testing::v1::Probe>("probe")).Say(grants.input()).ok() ? 7 : 8;
}
int Trace(Grants) { return static_cast<int>(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)) + 50; }
int Abort(Grants) { abort(); }
int SleepLong(Grants) {
  sleep(1000);
  return 0;
}
int CountDescriptors(Grants grants) {
  int open = 0;
  struct stat status;
  for (int fd = 0; fd < 1024; ++fd) open += fstat(fd, &status) == 0;
  return open * 10 + static_cast<int>(grants.names().size());
}
int CountVariables(Grants) { return environ != nullptr && *environ != nullptr; }
// Whether it gets as much memory as its input says, in MiB.
int TakeMemory(Grants grants) {
  const size_t size = static_cast<size_t>(std::stoi(grants.input())) << 20;
  return mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
         MAP_FAILED;
}
int TellDescriptorBound(Grants) {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur != limit.rlim_max) return 0;
  return static_cast<int>(limit.rlim_max);
}
int MakeCode(Grants) {
  return mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
              0) == MAP_FAILED;
}
int Accept(Grants) {
  return accept4(STDIN_FILENO, nullptr, nullptr, 0) < 0 && errno == EINVAL ? 0 : 1;
}
int Spin(Grants) {
  volatile uint64_t turns = 0;
  while (true) turns = turns + 1;
}

// Who sent the byte that comes next, by SO_PASSCRED.
int SenderTo(FdRef socket) {
  char byte;
  iovec bytes = {&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))];
  msghdr message = {};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  EXPECT_EQ(recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC), 1);
  ucred sender = {};
  const cmsghdr* const told = CMSG_FIRSTHDR(&message);
  if (told != nullptr && told->cmsg_type == SCM_CREDENTIALS) {
    memcpy(&sender, CMSG_DATA(told), sizeof sender);
  }
  return sender.pid;
}

class SpareWorkersTest : public ::testing::Test {
 protected:
  static constexpr uint32_t kSpares = 2;

  void SetUp() override {
    absl::StatusOr<Broker> started = Broker::Start({.spare_workers = kSpares});
    ASSERT_OK(started);
    broker_ = std::make_unique<Broker>(*std::move(started));
    ASSERT_TRUE(SparesWait());
  }

  uint32_t Spares() { return broker_->Inspect()->spare_workers(); }
  bool SparesWait() {
    return Eventually([this] { return Spares() == kSpares; });
  }
  // Of workers and spares: who has a child, other than the services and the spare zygote.
  std::set<int> Inits() {
    std::set<int> inits;
    for (const int child : ChildrenOf(broker_->Inspect()->zygote_process())) {
      if (!ChildrenOf(child).empty()) inits.insert(child);
    }
    return inits;
  }

  // Its end, and whether its process had been there before the launch.
  std::pair<WorkerEnd, bool> Run(WorkerOptions options) {
    EXPECT_TRUE(NoneIsOnItsWay());
    const std::set<int> spares = Inits();
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    options.standard_input.Reset(ends[0]);
    UniqueFd hold(ends[1]);
    const int on = 1;
    EXPECT_EQ(setsockopt(hold.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
    absl::StatusOr<Worker> worker = broker_->Launch(std::move(options));
    EXPECT_OK(worker);
    if (!worker.ok()) return {};
    const int process = SenderTo(hold);
    const bool was_spare = std::any_of(spares.begin(), spares.end(), [process](int init) {
      const std::vector<int> children = ChildrenOf(init);
      return std::find(children.begin(), children.end(), process) != children.end();
    });
    hold.Reset();
    const WorkerEnd end = worker->Wait();
    return {end, was_spare};
  }
  // Until it finds a spare, of which those of other kinds are replaced a moment after a launch.
  std::pair<WorkerEnd, bool> RunAsSpare(const std::function<WorkerOptions()>& make) {
    std::pair<WorkerEnd, bool> result;
    for (int i = 0; i < 10 && !result.second; ++i) result = Run(make());
    return result;
  }
  bool NoneIsOnItsWay() {
    return Eventually([this] { return Spares() == kSpares && Inits().size() == kSpares; });
  }

  std::unique_ptr<Broker> broker_;
};

TEST_F(SpareWorkersTest, AreNoWorkersUntilTheyAreLaunched) {
  EXPECT_EQ(broker_->Inspect()->workers_size(), 0);
  EXPECT_EQ(Inits().size(), kSpares);
  absl::StatusOr<Worker> worker = broker_->Launch({.entry = SleepLong});
  ASSERT_OK(worker);
  EXPECT_EQ(broker_->Inspect()->workers_size(), 1);
  EXPECT_FALSE(worker->layers().empty());
}

TEST_F(SpareWorkersTest, CallWhatTheyAreGranted) {
  for (const char* name : {"a", "b"}) {
    const auto [end, was_spare] =
        Run({.entry = Held<SayInput>, .grants = {{"probe", Probe({"a"})}}, .input = name});
    EXPECT_EQ(end.exit_code(), *name == 'a' ? 7 : 8) << end.ToString();
    EXPECT_TRUE(was_spare);
  }
}

TEST_F(SpareWorkersTest, HaveWhatTheyAreGrantedAndNothingElse) {
  const auto [end, was_spare] = Run(
      {.entry = Held<CountDescriptors>, .grants = {{"one", Probe({"a"})}, {"two", Probe({"a"})}}});
  EXPECT_EQ(end.exit_code(), 52);
  EXPECT_TRUE(was_spare);
  EXPECT_EQ(Run({.entry = Held<CountVariables>}).first.exit_code(), 0);
}

// INVARIANT(default-deny)
TEST_F(SpareWorkersTest, TellHowTheyEnd) {
  auto [end, was_spare] = Run({.entry = Held<Trace>});
  EXPECT_EQ(end.violation(), "ptrace") << end.ToString();
  EXPECT_TRUE(was_spare);
  end = Run({.entry = Held<Abort>}).first;
  EXPECT_EQ(end.signal(), SIGABRT) << end.ToString();
}

TEST_F(SpareWorkersTest, AreMadeForTheBoundsOfTheLastLaunches) {
  const auto bounded = [](const char* input) {
    return [input] {
      return WorkerOptions{
          .entry = Held<TakeMemory>, .bounds = {.memory = Mebibytes(64)}, .input = input};
    };
  };
  // The first is none of the spares.
  const auto [first, first_was_spare] = Run(bounded("128")());
  EXPECT_EQ(first.exit_code(), 1);
  EXPECT_FALSE(first_was_spare);
  const auto [small, small_was_spare] = RunAsSpare(bounded("32"));
  EXPECT_EQ(small.exit_code(), 0);
  EXPECT_TRUE(small_was_spare);
  const auto [large, large_was_spare] = RunAsSpare(bounded("128"));
  EXPECT_EQ(large.exit_code(), 1);
  EXPECT_TRUE(large_was_spare);
}

TEST_F(SpareWorkersTest, HaveTheBoundsThatAreAskedFor) {
  const auto [descriptors, was_spare] = RunAsSpare([] {
    return WorkerOptions{.entry = Held<TellDescriptorBound>, .bounds = {.descriptors = 40}};
  });
  EXPECT_EQ(descriptors.exit_code(), 40);
  EXPECT_TRUE(was_spare);
  const auto [time, had_been_spare] = Run(
      {.entry = Held<Spin>, .bounds = {.wall_time = absl::Milliseconds(50), .descriptors = 40}});
  EXPECT_EQ(time.reason(), "wall_time") << time.ToString();
  EXPECT_TRUE(had_been_spare);
}

TEST_F(SpareWorkersTest, ArePermittedWhatIsAskedForAlone) {
  const auto with_code = [] { return WorkerOptions{.entry = Held<MakeCode>, .makes_code = true}; };
  for (uint32_t i = 0; i <= kSpares; ++i) EXPECT_EQ(RunAsSpare(with_code).first.exit_code(), 0);
  // By now all spares may make code.
  EXPECT_EQ(Run({.entry = Held<MakeCode>}).first.exit_code(), 1);
  const auto accepting = [] {
    return WorkerOptions{.entry = Held<Accept>, .accepts_connections = true};
  };
  for (uint32_t i = 0; i <= kSpares; ++i) EXPECT_EQ(RunAsSpare(accepting).first.exit_code(), 0);
  EXPECT_EQ(Run({.entry = Held<Accept>}).first.exit_code(), 1);
}

TEST_F(SpareWorkersTest, StartWhenThereAreNotEnough) {
  std::vector<Worker> workers;
  for (uint32_t i = 0; i < 3 * kSpares; ++i) {
    absl::StatusOr<Worker> worker = broker_->Launch(
        {.entry = Held<SayInput>, .grants = {{"probe", Probe({"a"})}}, .input = "a"});
    ASSERT_OK(worker);
    workers.push_back(*std::move(worker));
  }
  for (Worker& worker : workers) EXPECT_EQ(worker.Wait().exit_code(), 7);
  EXPECT_TRUE(SparesWait());
}

// Whichever of its two processes is killed, and however far that has got.
TEST_F(SpareWorkersTest, AreReplacedUnnoticedWhenTheyAreKilled) {
  for (int round = 0; round < 20; ++round) {
    ASSERT_TRUE(SparesWait());
    for (const int init : Inits()) {
      const std::vector<int> workers = ChildrenOf(init);
      if (workers.empty()) continue;
      kill(round % 2 == 0 ? init : workers.front(), SIGKILL);
    }
    if (round % 4 >= 2) usleep(static_cast<useconds_t>(100 * round));
    absl::StatusOr<Worker> worker = broker_->Launch(
        {.entry = Held<SayInput>, .grants = {{"probe", Probe({"a"})}}, .input = "a"});
    ASSERT_OK(worker) << "round " << round;
    EXPECT_EQ(worker->Wait().exit_code(), 7) << "round " << round;
  }
  EXPECT_TRUE(SparesWait());
}

TEST_F(SpareWorkersTest, ComeAgainWhenTheZygoteHasDied) {
  const int zygote = broker_->Inspect()->zygote_process();
  kill(zygote, SIGKILL);
  ASSERT_TRUE(Eventually([&] { return broker_->Inspect()->zygote_process() != zygote; }));
  EXPECT_TRUE(Eventually([&] { return Spares() == kSpares && Inits().size() == kSpares; }));
  EXPECT_EQ(Run({.entry = Held<SayInput>, .grants = {{"probe", Probe({"a"})}}, .input = "a"})
                .first.exit_code(),
            7);
}

// INVARIANT(no-orphans)
TEST(SpareWorkersLifetimeTest, DieWithTheBroker) {
  testing::AdoptOrphans();
  const pid_t application = fork();
  if (application == 0) {
    Broker broker = Broker::StartOrDie({.spare_workers = 4});
    if (!Eventually([&] { return broker.Inspect()->spare_workers() == 4; })) _exit(1);
    kill(broker.Inspect()->broker_process(), SIGKILL);
    pause();
  }
  // As its child is killed, everything else ends; the application itself is for us to end.
  const auto only_the_application = [] {
    while (waitpid(-1, nullptr, WNOHANG | __WALL) > 0) {
    }
    return ChildrenOf(getpid()).size() == 1;
  };
  const auto has_started = [&] { return ChildrenOf(application).size() == 1; };
  EXPECT_TRUE(Eventually(has_started));
  const auto broker_is_gone = [&] {
    std::string state;
    std::ifstream("/proc/" + std::to_string(ChildrenOf(application).front()) + "/stat") >> state >>
        state >> state;
    return state == "Z";
  };
  EXPECT_TRUE(Eventually(broker_is_gone));
  EXPECT_TRUE(Eventually(only_the_application));
  kill(application, SIGKILL);
  EXPECT_TRUE(AllDescendantsEnd(absl::Seconds(20)));
}

TEST(SpareWorkersOptionTest, OutOfRangeIsRefused) {
  for (const int count : {-1, 65}) {
    EXPECT_THAT(Broker::Start({.spare_workers = count}).status(),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST(SpareWorkersOptionTest, WithoutItThereAreNone) {
  Broker broker = Broker::StartOrDie();
  absl::StatusOr<Worker> worker =
      broker.Launch({.entry = Held<SayInput>, .grants = {{"probe", Probe({"a"})}}, .input = "a"});
  ASSERT_OK(worker);
  EXPECT_EQ(worker->Wait().exit_code(), 7);
  usleep(50'000);
  EXPECT_EQ(broker.Inspect()->spare_workers(), 0u);
}

}  // namespace
}  // namespace capbroker
