// How much of the kernel a forked worker reaches, and a program under `capbroker run`, on every
// kind of host. docs/threat_model.md names what is left.
#include "tests/hostile_worker/interfaces.h"

#include <unistd.h>

#include <cstdio>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "tests/hostile_worker/broker_arena.h"
#include "tests/hostile_worker/control.h"
#include "tests/hostile_worker/hosts.h"
#include "tests/hostile_worker/installed_copy.h"
#include "tests/hostile_worker/run_arena.h"
#include "tests/hostile_worker/stage.h"

namespace capbroker::hostile {
namespace {

constexpr size_t kMostOfWorkers = 8, kMostOfPrograms = 19;
// Of every kind that adds system calls.
const std::vector<std::string>& Grants() {
  static const auto* const grants = new std::vector<std::string>{"--grant", "exec:/usr/bin/true",
                                                                 "--grant", "connect:localhost:9"};
  return *grants;
}

using Host = bool (*)();

std::set<std::string> WithinReach(Host host, const std::function<std::unique_ptr<Arena>()>& make) {
  Stage stage(host, make);
  std::set<std::string> reached;
  if (!stage.can_be_had()) return reached;
  const std::vector<Attack>& all = AllInterfaces();
  for (size_t next = 0; next < all.size(); ++next) {
    const Record record = stage.Play(InterfacesFrom(next));
    EXPECT_EQ(record.harm, "") << all[next].name;
    if (absl::StartsWith(record.outcome, "not started: ")) {
      std::printf("%s\n", record.outcome.c_str());
      break;
    }
    std::vector<std::string> lines = absl::StrSplit(record.said, '\n');
    lines.pop_back();
    for (const std::string& line : lines) {
      if (line == kSucceeded) reached.insert(all[next].name);
      if (next < all.size()) ++next;
    }
    // The next one it died of.
  }
  std::printf("%zu: %s\n", reached.size(), absl::StrJoin(reached, "; ").c_str());
  return reached;
}

class InterfacesTest : public ::testing::TestWithParam<Host> {};
INSTANTIATE_TEST_SUITE_P(Hosts, InterfacesTest,
                         ::testing::Values(AsRoot, AsOrdinaryUser, AsRootWithoutUserNamespaces,
                                           AsOrdinaryUserWithoutUserNamespaces,
                                           AsOrdinaryUserWithoutLandlock, AsRootWithoutReports,
                                           AsRootInDocker, AsOrdinaryUserInDocker));

TEST_P(InterfacesTest, FewAreWithinReachOfAForkedWorker) {
  EXPECT_LE(WithinReach(GetParam(), ForkedWorkers).size(), kMostOfWorkers);
}

TEST_P(InterfacesTest, FewAreWithinReachOfAProgramUnderRun) {
  SetRun(InstalledCopy("cli/capbroker"), InstalledCopy("tests/hostile_worker/hostile_program"));
  EXPECT_LE(WithinReach(GetParam(), [] { return ProgramsRunWith({}); }).size(), kMostOfPrograms);
  EXPECT_LE(WithinReach(GetParam(), [] { return ProgramsRunWith(Grants()); }).size(),
            kMostOfPrograms);
}

// What a process reaches that nothing confines: that the probes find anything.
TEST(UnconfinedInterfacesTest, MostAreWithinReachOfAnybodyElse) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  size_t reached = 0;
  for (const Attack& interface : AllInterfaces()) {
    const std::string outcome = MakeUnconfined(interface);
    reached += outcome == kSucceeded;
    if (outcome != kSucceeded) std::printf("%s: %s\n", interface.name.c_str(), outcome.c_str());
  }
  EXPECT_GE(reached + 10, AllInterfaces().size());
}

}  // namespace
}  // namespace capbroker::hostile
