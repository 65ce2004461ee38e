// What a worker's cgroup bounds: what limits of each process do not, because there are several, or
// because it is nobody's private memory.
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/cgroup.h"
#include "base/cgroup_for_test.h"
#include "base/status_matchers.h"
#include "client/broker.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cgroups/place.h"

namespace capbroker {
namespace {

using testing::Beneath;
using testing::CgroupForTest;
using ::testing::Contains;
using testing::WorkersBeneath;

// The glutton, which may fork.
WorkerOptions Glutton(std::vector<std::string> arguments, WorkerBounds bounds) {
  WorkerOptions options;
  options.program = "tests/cgroups/glutton";
  options.arguments = std::move(arguments);
  options.bounds = bounds;
  options.supervision = Supervision{.processes = true};
  return options;
}

std::string ContentOf(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

int SleepLong(Grants) {
  sleep(1000);
  return 0;
}

// What one of its processes may use by itself all of them together may not.
TEST(CgroupBoundsTest, MemoryOfAllProcessesEndsTheWorker) {
  const CgroupForTest place;
  SKIP_WITHOUT_CONTROLLERS(place, "memory", "pids");
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start({.cgroups = {.beneath = place.path()}}));
  const WorkerBounds bounds = {.wall_time = absl::Seconds(60), .memory = Mebibytes(64)};
  ASSERT_OK_AND_ASSIGN(Worker worker, broker.Launch(Glutton({"memory", "4", "48"}, bounds)));
  EXPECT_THAT(worker.layers(), Contains("cgroup memory"));
  const WorkerEnd end = worker.Wait();
  EXPECT_EQ(end.reason(), "memory") << end.ToString();
  EXPECT_EQ(end.signal(), 9);
  // Another one has its own.
  ASSERT_OK_AND_ASSIGN(Worker modest, broker.Launch(Glutton({"nothing"}, bounds)));
  EXPECT_EQ(modest.Wait().exit_code(), 2);
}

TEST(CgroupBoundsTest, OneProcessByItselfMeetsItsLimitFirst) {
  const CgroupForTest place;
  SKIP_WITHOUT_CONTROLLERS(place, "memory", "pids");
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start({.cgroups = {.beneath = place.path()}}));
  const WorkerBounds bounds = {.wall_time = absl::Seconds(60), .memory = Mebibytes(64)};
  // malloc() fails in the child, and the parent ends well.
  ASSERT_OK_AND_ASSIGN(Worker worker, broker.Launch(Glutton({"memory", "1", "80"}, bounds)));
  const WorkerEnd end = worker.Wait();
  EXPECT_EQ(end.exit_code(), 0) << end.ToString();
}

TEST(CgroupBoundsTest, SharedMemoryIsCounted) {
  const CgroupForTest place;
  SKIP_WITHOUT_CONTROLLERS(place, "memory", "pids");
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start({.cgroups = {.beneath = place.path()}}));
  const WorkerBounds bounds = {.wall_time = absl::Seconds(60), .memory = Mebibytes(64)};
  ASSERT_OK_AND_ASSIGN(Worker worker, broker.Launch(Glutton({"shared", "256"}, bounds)));
  const WorkerEnd end = worker.Wait();
  EXPECT_EQ(end.reason(), "memory") << end.ToString();
}

TEST(CgroupBoundsTest, AreThoseOfTheWorker) {
  const CgroupForTest place;
  SKIP_WITHOUT_CONTROLLERS(place, "memory", "pids");
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start({.cgroups = {.beneath = place.path()}}));
  ASSERT_OK_AND_ASSIGN(
      const Worker worker,
      broker.Launch({.entry = SleepLong, .bounds = {.memory = Mebibytes(256), .threads = 20}}));
  EXPECT_THAT(worker.layers(), Contains("cgroup pids"));
  const std::vector<std::string> workers = WorkersBeneath(place.path());
  ASSERT_EQ(workers.size(), 1u);
  const uint64_t memory = std::stoull(ContentOf(workers[0] + "/memory.max"));
  EXPECT_GT(memory, Mebibytes(256));
  EXPECT_LT(memory, Mebibytes(256 + 32));
  EXPECT_EQ(ContentOf(workers[0] + "/memory.oom.group"), "1");
  EXPECT_EQ(ContentOf(workers[0] + "/pids.max"), "21") << "and its init";
  if (std::ifstream(workers[0] + "/memory.swap.max").good()) {
    EXPECT_EQ(ContentOf(workers[0] + "/memory.swap.max"), "0");
  }
}

// Also where the worker's user is root, of whom no limit counts processes.
TEST(CgroupBoundsTest, ForkBombIsBounded) {
  const CgroupForTest place;
  SKIP_WITHOUT_CONTROLLERS(place, "pids");
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start(Beneath(place.path())));
  const WorkerBounds bounds = {.wall_time = absl::Seconds(60), .threads = 30};
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  WorkerOptions options = Glutton({"processes"}, bounds);
  options.standard_output = UniqueFd(ends[1]);
  const UniqueFd output(ends[0]);
  ASSERT_OK_AND_ASSIGN(Worker worker, broker.Launch(std::move(options)));
  char text[16] = {};
  ASSERT_GT(read(output.get(), text, sizeof text - 1), 0);
  EXPECT_LE(std::stoi(text), 30);
  EXPECT_GT(std::stoi(text), 20);
  EXPECT_EQ(worker.Wait().exit_code(), 0);
  EXPECT_TRUE(WorkersBeneath(place.path()).empty()) << "with all that it forked";
}

// cpu.stat is there without any controller.
TEST(CgroupBoundsTest, CpuTimeOfAllProcessesEndsTheWorker) {
  const CgroupForTest place;
  SKIP_WITHOUT_CGROUP(place);
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start(Beneath(place.path())));
  const WorkerBounds bounds = {.cpu_time = absl::Seconds(1), .wall_time = absl::Seconds(20)};
  ASSERT_OK_AND_ASSIGN(Worker worker, broker.Launch(Glutton({"time"}, bounds)));
  const WorkerEnd end = worker.Wait();
  EXPECT_EQ(end.reason(), "cpu_time") << end.ToString();
}

}  // namespace
}  // namespace capbroker
