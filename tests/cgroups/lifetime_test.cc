// Where the cgroups of workers are made, and that they are gone when those are.
#include <signal.h>
#include <sys/socket.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/cgroup.h"
#include "base/cgroup_for_test.h"
#include "base/own_cgroup.h"
#include "base/pid_fd.h"
#include "base/status_matchers.h"
#include "base/unique_fd.h"
#include "broker/testing/descendants.h"
#include "client/broker.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cgroups/place.h"

namespace capbroker {
namespace {

using testing::Beneath;
using testing::CgroupForTest;
using ::testing::Contains;
using ::testing::Each;
using testing::Eventually;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::ProcessesIn;
using ::testing::SizeIs;
using testing::StatusIs;
using testing::WorkersBeneath;

int SleepLong(Grants) {
  sleep(1000);
  return 0;
}
int Return(Grants) { return 7; }

// Runs `body` in a child, in `cgroup` if one is given; its exit code.
template <typename Body>
int InChild(const Cgroup& cgroup, Body body) {
  absl::StatusOr<Cloned> child = CloneProcess({.cgroup = cgroup.directory()});
  if (!child.ok()) return -1;
  if (child->pid == 0) _exit(body());
  const absl::StatusOr<ProcessEnd> end = child->process.Wait();
  return !end.ok() ? -1 : end->signal != 0 ? 128 + end->signal : end->exit_code;
}

TEST(CgroupLifetimeTest, EachWorkerIsInOneWithItsInit) {
  const CgroupForTest place;
  SKIP_WITHOUT_CGROUP(place);
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start(Beneath(place.path())));
  ASSERT_OK_AND_ASSIGN(Worker first, broker.Launch({.entry = SleepLong}));
  ASSERT_OK_AND_ASSIGN(Worker second, broker.Launch({.entry = SleepLong}));
  EXPECT_THAT(first.layers(), Contains("cgroup"));
  const std::vector<std::string> cgroups = WorkersBeneath(place.path());
  ASSERT_THAT(cgroups, SizeIs(2));
  for (const std::string& cgroup : cgroups) EXPECT_THAT(ProcessesIn(cgroup), SizeIs(2)) << cgroup;
  EXPECT_THAT(ProcessesIn(place.path()), IsEmpty());
  // Who was told of its end finds nothing.
  ASSERT_OK(first.Kill());
  first.Wait();
  EXPECT_THAT(WorkersBeneath(place.path()), SizeIs(1));
  ASSERT_OK_AND_ASSIGN(Worker third, broker.Launch({.entry = Return}));
  EXPECT_EQ(third.Wait().exit_code(), 7);
  EXPECT_THAT(WorkersBeneath(place.path()), SizeIs(1));
}

// What the open files of a process are, as far as they may be seen here.
std::vector<std::string> OpenFilesOf(pid_t pid) {
  std::vector<std::string> names;
  std::error_code error;
  const std::string folder = absl::StrCat("/proc/", pid, "/fd");
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    names.push_back(std::filesystem::read_symlink(entry.path(), error).string());
  }
  return names;
}

TEST(CgroupLifetimeTest, NobodyInItHasADescriptorOfIt) {
  const CgroupForTest place;
  SKIP_WITHOUT_CGROUP(place);
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start(Beneath(place.path())));
  ASSERT_OK_AND_ASSIGN(const Worker forked, broker.Launch({.entry = SleepLong}));
  ASSERT_OK_AND_ASSIGN(const Worker supervised,
                       broker.Launch({.program = "/bin/sleep",
                                      .arguments = {"1000"},
                                      .supervision = Supervision{.processes = true}}));
  size_t processes = 0;
  for (const std::string& cgroup : WorkersBeneath(place.path())) {
    for (const pid_t pid : ProcessesIn(cgroup)) {
      const std::vector<std::string> files = OpenFilesOf(pid);
      if (files.empty()) GTEST_SKIP() << "this user may not look";
      EXPECT_THAT(files, Each(::testing::Not(HasSubstr("capbroker.")))) << pid;
      ++processes;
    }
  }
  EXPECT_EQ(processes, 5u) << "two inits, two workers, a supervisor";
}

TEST(CgroupLifetimeTest, WithoutOneNothingIsMade) {
  const CgroupForTest place;
  SKIP_WITHOUT_CGROUP(place);
  const std::string before = OwnCgroupName();
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start());
  ASSERT_OK_AND_ASSIGN(const Worker worker, broker.Launch({.entry = SleepLong}));
  EXPECT_THAT(worker.layers(), ::testing::Not(Contains("cgroup")));
  EXPECT_THAT(testing::ChildrenOf(place.path()), IsEmpty());
  EXPECT_EQ(OwnCgroupName(), before);
}

TEST(CgroupLifetimeTest, SparesHaveThem) {
  const CgroupForTest place;
  SKIP_WITHOUT_CGROUP(place);
  BrokerOptions options = Beneath(place.path());
  options.spare_workers = 2;
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start(options));
  EXPECT_TRUE(Eventually([&] { return WorkersBeneath(place.path()).size() == 2; }));
  ASSERT_TRUE(Eventually([&] { return broker.Inspect()->spare_workers() == 2; }));
  ASSERT_OK_AND_ASSIGN(Worker worker, broker.Launch({.entry = Return}));
  EXPECT_THAT(worker.layers(), Contains("cgroup"));
  EXPECT_EQ(worker.Wait().exit_code(), 7);
}

TEST(CgroupLifetimeTest, TheyEndWithTheHandle) {
  const CgroupForTest place;
  SKIP_WITHOUT_CGROUP(place);
  {
    ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start(Beneath(place.path())));
    ASSERT_OK_AND_ASSIGN(Worker worker, broker.Launch({.entry = SleepLong}));
    worker.Detach();
  }
  EXPECT_THAT(testing::ChildrenOf(place.path()), IsEmpty());
}

TEST(CgroupLifetimeTest, TheyEndWithTheHandleOfABrokerThatWasKilled) {
  const CgroupForTest place;
  SKIP_WITHOUT_CGROUP(place);
  {
    ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start(Beneath(place.path())));
    ASSERT_OK_AND_ASSIGN(Worker worker, broker.Launch({.entry = SleepLong}));
    ASSERT_OK_AND_ASSIGN(const v1::InspectResponse tree, broker.Inspect());
    ASSERT_EQ(kill(tree.broker_process(), SIGKILL), 0);
    worker.Wait();
  }
  EXPECT_THAT(testing::ChildrenOf(place.path()), IsEmpty());
}

TEST(CgroupLifetimeTest, OneOfAnInitThatWasKilledIsRemoved) {
  const CgroupForTest place;
  SKIP_WITHOUT_CGROUP(place);
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start(Beneath(place.path())));
  ASSERT_OK_AND_ASSIGN(Worker worker, broker.Launch({.entry = SleepLong}));
  ASSERT_OK_AND_ASSIGN(const v1::InspectResponse tree, broker.Inspect());
  const std::vector<int> inits = testing::ChildrenOf(tree.zygote_process());
  const std::vector<pid_t> inside = ProcessesIn(WorkersBeneath(place.path()).at(0));
  int killed = 0;
  for (const int pid : inits) {
    if (std::find(inside.begin(), inside.end(), pid) == inside.end()) continue;
    ++killed;
    ASSERT_EQ(kill(pid, SIGKILL), 0);
  }
  EXPECT_EQ(killed, 1);
  EXPECT_EQ(worker.Wait().reason(), "its init was killed");
  EXPECT_TRUE(Eventually([&] { return WorkersBeneath(place.path()).empty(); }));
}

TEST(CgroupLifetimeTest, NextZygoteRemovesThoseOfTheLast) {
  const CgroupForTest place;
  SKIP_WITHOUT_CGROUP(place);
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start(Beneath(place.path())));
  ASSERT_OK_AND_ASSIGN(Worker worker, broker.Launch({.entry = SleepLong}));
  const std::string lost = WorkersBeneath(place.path()).at(0);
  ASSERT_OK_AND_ASSIGN(const v1::InspectResponse tree, broker.Inspect());
  ASSERT_EQ(kill(tree.zygote_process(), SIGKILL), 0);
  worker.Wait();
  absl::StatusOr<Worker> next = absl::UnavailableError("");
  ASSERT_TRUE(Eventually([&] {
    next = broker.Launch({.entry = SleepLong});
    return next.ok();
  }));
  EXPECT_TRUE(Eventually([&] { return WorkersBeneath(place.path()).size() == 1; }));
  EXPECT_THAT(WorkersBeneath(place.path()), ::testing::Not(Contains(lost)));
}

// INVARIANT(no-orphans)
TEST(CgroupLifetimeTest, NextBrokerRemovesThoseOfAnApplicationThatWasKilled) {
  const CgroupForTest place;
  SKIP_WITHOUT_CGROUP(place);
  ASSERT_OK_AND_ASSIGN(Broker living, Broker::Start(Beneath(place.path())));
  const std::vector<std::string> kept = testing::ChildrenOf(place.path());
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  ASSERT_OK_AND_ASSIGN(Cloned application, CloneProcess({}));
  UniqueFd at_application(ends[1]);
  const UniqueFd here(ends[0]);
  if (application.pid == 0) {
    absl::StatusOr<Broker> broker = Broker::Start(Beneath(place.path()));
    if (!broker.ok()) _exit(1);
    const absl::StatusOr<Worker> worker = broker->Launch({.entry = SleepLong});
    (void)!write(at_application.get(), worker.ok() ? "y" : "n", 1);
    while (true) pause();
  }
  at_application.Reset();
  char started = 0;
  ASSERT_EQ(read(here.get(), &started, 1), 1);
  ASSERT_EQ(started, 'y');
  const std::vector<std::string> left = WorkersBeneath(place.path());
  ASSERT_THAT(left, SizeIs(1));
  ASSERT_OK(application.process.Signal(SIGKILL));
  ASSERT_OK(application.process.Wait());
  EXPECT_TRUE(Eventually([&] { return ProcessesIn(left[0]).empty(); })) << "nobody outlives it";
  // The lock goes with the last of its processes.
  std::vector<std::string> there;
  EXPECT_TRUE(Eventually([&] {
    EXPECT_OK(Broker::Start(Beneath(place.path())));
    there = testing::ChildrenOf(place.path());
    return there.size() <= kept.size();
  }));
  EXPECT_EQ(there, kept) << "a broker that lives loses nothing";
  EXPECT_OK(living.Launch({.entry = SleepLong}));
}

TEST(CgroupLifetimeTest, BrokerThatIsAProgramHasThem) {
  const CgroupForTest place;
  SKIP_WITHOUT_CGROUP(place);
  {
    ASSERT_OK_AND_ASSIGN(Broker broker,
                         Broker::StartProgram("broker/testing/probe_broker", {},
                                              {.beneath = place.path(), .partly = true}));
    ASSERT_OK_AND_ASSIGN(Worker worker,
                         broker.Launch({.program = "/bin/sleep", .arguments = {"1000"}}));
    EXPECT_THAT(worker.layers(), Contains("cgroup"));
    EXPECT_THAT(WorkersBeneath(place.path()), SizeIs(1));
  }
  EXPECT_THAT(testing::ChildrenOf(place.path()), IsEmpty());
}

TEST(CgroupLifetimeTest, PlaceThatIsNoneIsRefused) {
  EXPECT_THAT(Broker::Start(Beneath("own/child")), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Broker::Start(Beneath("/nowhere")), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Broker::Start(Beneath("/proc")), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST(CgroupLifetimeTest, PlaceWithoutControllersIsRefused) {
  const CgroupForTest place;
  SKIP_WITHOUT_CGROUP(place);
  if (place.Lacks({"memory", "pids"}).empty()) GTEST_SKIP() << "this one has them";
  const auto refused = Broker::Start({.cgroups = {.beneath = place.path()}}).status();
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("controller"));
  EXPECT_THAT(testing::ChildrenOf(place.path()), IsEmpty());
}

// A cgroup that the process which is cloned into it is told to be its own.
absl::StatusOr<Cgroup> MakeDelegated(const CgroupForTest& place) {
  absl::StatusOr<Cgroup> own = place.cgroup().MakeChild("own");
  if (own.ok() && fsetxattr(own->directory().get(), "user.delegate", "1", 1, 0) != 0) {
    return absl::UnimplementedError("no extended attributes");
  }
  return own;
}

TEST(OwnCgroupTest, ApplicationLeavesItForItsChild) {
  const CgroupForTest place;
  SKIP_WITHOUT_CGROUP(place);
  const absl::StatusOr<Cgroup> own = MakeDelegated(place);
  if (!own.ok()) GTEST_SKIP() << own.status();
  const int result = InChild(*own, [&] {
    for (int turn = 1; turn <= 2; ++turn) {  // the second finds it divided
      absl::StatusOr<Broker> broker = Broker::Start(Beneath(kOwnCgroup));
      if (!broker.ok()) return 10 * turn;
      if (!absl::EndsWith(OwnCgroupName(), absl::StrCat("/own/", kApplicationCgroup))) {
        return 10 * turn + 1;
      }
      const absl::StatusOr<Worker> worker = broker->Launch({.entry = SleepLong});
      if (!worker.ok()) return 10 * turn + 2;
      const auto workers = WorkersBeneath(place.path() + "/own");
      if (workers.size() != 1 || ProcessesIn(workers[0]).size() != 2) return 10 * turn + 3;
    }
    return 0;
  });
  EXPECT_EQ(result, 0);
  EXPECT_THAT(testing::ChildrenOf(place.path() + "/own"),
              ::testing::ElementsAre(kApplicationCgroup));
}

TEST(OwnCgroupTest, WithOthersInItIsRefusedAndLeftAsItIs) {
  const CgroupForTest place;
  SKIP_WITHOUT_CGROUP(place);
  const absl::StatusOr<Cgroup> own = MakeDelegated(place);
  if (!own.ok()) GTEST_SKIP() << own.status();
  ASSERT_OK_AND_ASSIGN(Cloned other, CloneProcess({.cgroup = own->directory()}));
  if (other.pid == 0) {
    while (true) pause();
  }
  const int result = InChild(*own, [&] {
    const absl::Status refused = Broker::Start(Beneath(kOwnCgroup)).status();
    if (!absl::IsFailedPrecondition(refused)) return 1;
    if (!absl::StrContains(refused.message(), "other processes")) return 2;
    return absl::EndsWith(OwnCgroupName(), "/own") ? 0 : 3;
  });
  EXPECT_EQ(result, 0);
  EXPECT_THAT(testing::ChildrenOf(place.path() + "/own"), IsEmpty());
  ASSERT_OK(other.process.Signal(SIGKILL));
  ASSERT_OK(other.process.Wait());
}

TEST(OwnCgroupTest, ThatIsNotDelegatedIsRefused) {
  const CgroupForTest place;
  SKIP_WITHOUT_CGROUP(place);
  ASSERT_OK_AND_ASSIGN(const Cgroup own, place.cgroup().MakeChild("own"));
  const int result = InChild(own, [] {
    const absl::Status refused = Broker::Start(Beneath(kOwnCgroup)).status();
    return absl::IsFailedPrecondition(refused) ? 0 : 1;
  });
  EXPECT_EQ(result, 0);
  EXPECT_THAT(testing::ChildrenOf(place.path() + "/own"), IsEmpty());
}

}  // namespace
}  // namespace capbroker
