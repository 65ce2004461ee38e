// How much of the kernel a forked worker reaches. docs/threat_model.md names what is left.
#include "tests/hostile_worker/interfaces.h"

#include <unistd.h>

#include <cstdio>
#include <memory>
#include <set>
#include <string>

#include "gtest/gtest.h"
#include "tests/hostile_worker/broker_arena.h"
#include "tests/hostile_worker/control.h"
#include "tests/hostile_worker/hosts.h"
#include "tests/hostile_worker/stage.h"

namespace capbroker::hostile {
namespace {

constexpr size_t kMostInterfaces = 9;

std::set<std::string> WithinReach(bool (*enter)()) {
  Stage stage(enter, ForkedWorkers);
  std::set<std::string> reached;
  if (!stage.can_be_had()) return reached;
  for (const Attack& interface : AllInterfaces()) {
    const Record record = stage.Play(interface);
    EXPECT_EQ(record.harm, "") << interface.name;
    if (record.outcome == kSucceeded) reached.insert(interface.name);
  }
  for (const std::string& name : reached) std::printf("%s\n", name.c_str());
  return reached;
}

TEST(InterfacesTest, FewerThanTenAreWithinReachOfAForkedWorker) {
  EXPECT_LE(WithinReach(AsRoot).size(), kMostInterfaces);
  EXPECT_LE(WithinReach(AsOrdinaryUser).size(), kMostInterfaces);
}

// What a process reaches that nothing confines: that the probes find anything.
TEST(InterfacesTest, MostAreWithinReachOfAnybodyElse) {
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
