// Spares: confined before they have a job as any worker is, and bare but for it.
#include "sandbox/spare_job.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "sandbox/layers/identity.h"
#include "sandbox/worker_runner.h"

namespace capbroker::sandbox {
namespace {

using ::capbroker::testing::StatusIs;

// What a worker sees of its confinement, as text that is the same for workers confined alike.
std::string Confinement() {
  std::string seen;
  const auto add = [&seen](const char* what, long value) {
    seen += std::string(what) + " " + std::to_string(value) + "\n";
  };
  for (int fd = 0; fd < 1024; ++fd) {
    struct stat status;
    if (fcntl(fd, F_GETFD) < 0 || fstat(fd, &status) != 0) continue;
    add("descriptor", fd);
    add("of type", status.st_mode & S_IFMT);
    add("of device", static_cast<long>(S_ISCHR(status.st_mode) ? status.st_rdev : 0));
  }
  for (int resource = 0; resource < RLIM_NLIMITS; ++resource) {
    rlimit limit;
    if (getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0) continue;
#ifdef __SANITIZE_ADDRESS__
    // Above what the image has at the start, which grows there from one to the next.
    if (resource == RLIMIT_DATA || resource == RLIMIT_AS) continue;
#endif
    add("limit", resource);
    add("soft", static_cast<long>(limit.rlim_cur));
    add("hard", static_cast<long>(limit.rlim_max));
  }
  for (int capability = 0; capability < 64; ++capability) {
    add("bounded by", prctl(PR_CAPBSET_READ, capability));
  }
  add("own uid", getuid() >= kFirstWorkerId);
  add("own gid", getgid() == getuid());
  add("groups", getgroups(0, nullptr));
  add("dumpable", prctl(PR_GET_DUMPABLE));
  add("no new privileges", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  add("table", prctl(PR_GET_SECCOMP));
  add("secure bits", prctl(PR_GET_SECUREBITS));
  add("pid", getpid());
  add("parent", getppid());
  add("open", open("/etc/passwd", O_RDONLY) < 0 ? errno : 0);
  add("socket", socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? errno : 0);
  add("kill", kill(getppid(), SIGKILL) < 0 ? errno : 0);
  add("raise", [] {
    const rlimit more = {1024, 1024};
    return setrlimit(RLIMIT_NOFILE, &more) < 0 ? errno : 0;
  }());
  sigset_t blocked;
  sigprocmask(SIG_SETMASK, nullptr, &blocked);
  for (int signal = 1; signal < 32; ++signal) add("blocked", sigismember(&blocked, signal));
  return seen;
}

int TellConfinement() {
  const std::string seen = Confinement();
  return write(kTether, seen.data(), seen.size()) == static_cast<ssize_t>(seen.size()) ? 0 : 1;
}

std::string ReadAll(FdRef from) {
  std::string text;
  char bytes[4096];
  for (ssize_t got; (got = read(from.get(), bytes, sizeof bytes)) > 0;) {
    text.append(bytes, static_cast<size_t>(got));
  }
  return text;
}

class SpareTest : public ::testing::Test {
 protected:
  SpareTest() {
    auto [tether, workers_tether] = SocketPair(SOCK_STREAM);
    tether_ = std::move(tether);
    workers_tether_ = std::move(workers_tether);
  }

  RunningWorker Spare(absl::FunctionRef<int(uint64_t)> entry, Start start = {}) {
    RunningWorker spare = runner_.StartSpare(entry, job_, std::move(start));
    const std::optional<Report> report = spare.Next();
    EXPECT_EQ(report.value_or(Report{}).kind, Report::Kind::kWaits);
    return spare;
  }

  absl::Status Give(uint64_t value = 0) {
    absl::Status given =
        GiveJob(job_, {.value = value, .descriptors = {{workers_tether_.get(), kTether, true}}});
    workers_tether_.Reset();
    return given;
  }

  WorkerRunner runner_;
  UniqueFd job_, tether_, workers_tether_;
};

TEST_F(SpareTest, IsConfinedAsAFreshWorkerIs) {
  const auto bounded = [] {
    Start start;
    start.bounds = {.cpu_time = absl::Seconds(5), .memory_bytes = 64 << 20, .descriptors = 64};
    return start;
  };
  RunningWorker fresh = runner_.Start(TellConfinement, bounded());
  const std::string expected = ReadAll(fresh.tether);
  ASSERT_THAT(expected, ::testing::HasSubstr("table 2"));
  RunningWorker spare = Spare([](uint64_t) { return TellConfinement(); }, bounded());
  ASSERT_OK(Give());
  EXPECT_EQ(ReadAll(tether_), expected);
  const Story story = Collect(std::move(spare));
  EXPECT_EQ(story.exit_code(), 0) << story.text;
  ASSERT_TRUE(story.started.has_value());
  EXPECT_EQ(story.started->layers, runner_.sandbox().in_force().bits());
}

TEST_F(SpareTest, CallsItsEntryWithTheValueOfItsJob) {
  RunningWorker spare = Spare([](uint64_t value) { return static_cast<int>(value); });
  ASSERT_OK(Give(77));
  EXPECT_EQ(Collect(std::move(spare)).exit_code(), 77);
}

// INVARIANT(default-deny)
TEST_F(SpareTest, DiesOfAViolationThatIsTold) {
  RunningWorker spare =
      Spare([](uint64_t) { return static_cast<int>(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)); });
  ASSERT_OK(Give());
  const Story story = Collect(std::move(spare));
  EXPECT_EQ(story.violated_call(), "ptrace") << story.text;
  EXPECT_EQ(story.signal(), SIGKILL);
}

// INVARIANT(fail-closed)
TEST_F(SpareTest, WithoutAJobNeverRuns) {
  RunningWorker spare = Spare([](uint64_t) { return 0; });
  job_.Reset();
  const Story story = Collect(std::move(spare));
  EXPECT_FALSE(story.started.has_value());
  ASSERT_TRUE(story.failed.has_value()) << story.text;
  EXPECT_EQ(story.failed->step, Step::kJob);
}

// INVARIANT(no-orphans)
TEST_F(SpareTest, DiesWithItsLifelineWhileItWaits) {
  RunningWorker spare = Spare([](uint64_t) { return 0; });
  spare.lifeline.Reset();
  EXPECT_FALSE(Collect(std::move(spare)).timed_out);
  EXPECT_THAT(Give(), StatusIs(absl::StatusCode::kUnavailable));
}

// INVARIANT(fail-closed): what was not reported has not run.
TEST_F(SpareTest, NeverRunsWithoutItsInit) {
  RunningWorker spare = Spare([](uint64_t) {
    (void)!write(kTether, "x", 1);
    return 0;
  });
  ASSERT_OK(spare.started.init.Signal(SIGSTOP));
  ASSERT_OK(Give());
  char byte;
  pollfd written = {tether_.get(), POLLIN, 0};
  EXPECT_EQ(poll(&written, 1, 100), 0);
  ASSERT_OK(spare.started.init.Signal(SIGKILL));
  EXPECT_FALSE(Collect(std::move(spare)).started.has_value());
  EXPECT_LE(recv(tether_.get(), &byte, 1, 0), 0);
}

TEST_F(SpareTest, IsGivenNothingThatAFreshWorkerIsNot) {
  RunningWorker spare = Spare([](uint64_t) { return 0; });
  const UniqueFd directory(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT_THAT(GiveJob(job_, {.descriptors = {{directory.get(), 5, true}}}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  for (const int place : {-1, kGrantedPlaces, kGrantedPlaces + 3}) {
    EXPECT_THAT(GiveJob(job_, {.descriptors = {{tether_.get(), place, true}}}),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
  EXPECT_THAT(GiveJob(job_, {.descriptors = {{tether_.get(), 5, true}, {tether_.get(), 5, true}}}),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(GiveJob(job_, {.descriptors = std::vector<Placement>(
                                 kMostJobDescriptors + 1, Placement{tether_.get(), 5, true})}),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

// INVARIANT(fail-closed)
TEST_F(SpareTest, DoesNotTakeATruncatedJob) {
  RunningWorker spare = Spare([](uint64_t) { return 0; });
  ASSERT_EQ(send(job_.get(), "short", 5, 0), 5);
  const Story story = Collect(std::move(spare));
  EXPECT_FALSE(story.started.has_value());
  EXPECT_TRUE(story.failed.has_value()) << story.text;
}

TEST_F(SpareTest, WithDescriptorsOrASupervisorIsRefused) {
  auto [ours, theirs] = SocketPair(SOCK_SEQPACKET);
  Start with_descriptor;
  with_descriptor.descriptors.push_back({std::move(ours), 3});
  EXPECT_THAT(
      runner_.sandbox()
          .ForkSpare(std::move(with_descriptor), std::move(theirs), [](uint64_t) { return 0; })
          .status(),
      StatusIs(absl::StatusCode::kInvalidArgument));
  Start supervised;
  supervised.supervision.emplace();
  EXPECT_THAT(runner_.sandbox()
                  .ForkSpare(std::move(supervised), UniqueFd(), [](uint64_t) { return 0; })
                  .status(),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

class SpareWithoutEachLayer : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Layers, SpareWithoutEachLayer, ::testing::Range(0, kLayerCount),
                         [](const auto& info) {
                           std::string name(LayerName(static_cast<Layer>(info.param)));
                           std::replace(name.begin(), name.end(), ' ', '_');
                           return name;
                         });

TEST_P(SpareWithoutEachLayer, IsConfinedAsAFreshWorkerIs) {
  const Layer layer = static_cast<Layer>(GetParam());
  if (kAlwaysInForce.Has(layer)) return;
  WorkerRunner runner({layer}, {});
  const auto comparable = [layers = runner.sandbox().in_force()](std::string seen) {
    const auto cut = [&seen](const std::string& from, const std::string& to) {
      seen.replace(seen.find(from), seen.find(to) - seen.find(from), "");
    };
    // Without a PID namespace every process has a number of its own.
    if (!layers.Has(Layer::kPidNamespace)) cut("\npid ", "\nopen ");
    // Who shares its user's id is bounded by how many threads that has at the moment.
    static_assert(RLIMIT_NPROC == 6);
    if (!layers.Has(Layer::kUserNamespace) && !layers.Has(Layer::kUnprivilegedUid)) {
      cut("\nlimit 6\n", "\nlimit 7\n");
    }
    return seen;
  };
  RunningWorker fresh = runner.Start(TellConfinement);
  const std::string expected = comparable(ReadAll(fresh.tether));
  UniqueFd job;
  RunningWorker spare = runner.StartSpare([](uint64_t) { return TellConfinement(); }, job);
  auto [tether, workers_tether] = SocketPair(SOCK_STREAM);
  ASSERT_OK(GiveJob(job, {.descriptors = {{workers_tether.get(), kTether, true}}}));
  workers_tether.Reset();
  EXPECT_EQ(comparable(ReadAll(tether)), expected);
  const Story story = Collect(std::move(spare));
  EXPECT_EQ(story.exit_code(), 0) << story.text;
  ASSERT_TRUE(story.started.has_value());
  EXPECT_FALSE(story.started->layer_set().Has(layer));
}

}  // namespace
}  // namespace capbroker::sandbox
