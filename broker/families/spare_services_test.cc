// Services opened from spares: like any others to who opens them, and there when they are asked
// for.
#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/status_matchers.h"
#include "broker/testing/descendants.h"
#include "broker/testing/probe_client.h"
#include "broker/testing/probe_service.h"
#include "client/broker.h"
#include "gtest/gtest.h"

namespace capbroker {
namespace {

using testing::ChildrenOf;
using testing::Eventually;
using testing::Probe;
using testing::ProbeClient;
using testing::StatusIs;

std::string StatusField(int process, const std::string& name) {
  std::ifstream file("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(name + ":\t", 0) == 0) return line.substr(name.size() + 2);
  }
  return "";
}

// What its descriptors above 2 are.
std::vector<std::string> Descriptors(int process) {
  const std::string folder = "/proc/" + std::to_string(process) + "/fd";
  std::vector<std::string> descriptors;
  DIR* const directory = opendir(folder.c_str());
  while (const dirent* entry = directory == nullptr ? nullptr : readdir(directory)) {
    char target[256];
    const std::string link = folder + "/" + entry->d_name;
    const ssize_t size = readlink(link.c_str(), target, sizeof target);
    if (size > 0 && std::stoi(entry->d_name) > 2) {
      descriptors.emplace_back(target, static_cast<size_t>(size));
    }
  }
  if (directory != nullptr) closedir(directory);
  return descriptors;
}

class SpareServicesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<Broker> started = Broker::Start({.spare_services = 1});
    ASSERT_OK(started);
    broker_ = std::make_unique<Broker>(*std::move(started));
    first_ = Open({"a"});
    ASSERT_OK(ProbeClient(first_).Say("a"));
    ASSERT_TRUE(SpareWaits());
  }

  // And has its name by now.
  bool SpareWaits() {
    return Eventually([this] { return broker_->Inspect()->spare_services() == 1 && Spare() != 0; });
  }
  std::shared_ptr<Channel> Open(std::initializer_list<std::string> words) {
    absl::StatusOr<std::shared_ptr<Channel>> channel = broker_->Open(Probe(words));
    EXPECT_OK(channel);
    return channel.value_or(nullptr);
  }
  // The child of the zygote that has the service's name, serves nobody, and is forked last.
  int Spare() {
    const v1::InspectResponse tree = *broker_->Inspect();
    const auto serves = [&](int process) {
      return std::any_of(tree.families().begin(), tree.families().end(),
                         [&](const auto& family) { return family.process() == process; });
    };
    int spare = 0;
    for (const int child : ChildrenOf(tree.zygote_process())) {
      if (StatusField(child, "Name") == "Probe" && !serves(child)) spare = child;
    }
    return spare;
  }

  std::unique_ptr<Broker> broker_;
  std::shared_ptr<Channel> first_;
};

TEST_F(SpareServicesTest, ServeTheServiceThatWasOpenedLast) {
  for (int round = 0; round < 3; ++round) {
    const int spare = Spare();
    const std::shared_ptr<Channel> channel = Open({"b"});
    ASSERT_OK_AND_ASSIGN(const int process, ProbeClient(channel).Say("b"));
    EXPECT_EQ(process, spare);
    EXPECT_THAT(ProbeClient(channel).Say("a"), StatusIs(absl::StatusCode::kPermissionDenied));
    EXPECT_EQ(broker_->Inspect()->families().rbegin()->process(), process);
    ASSERT_TRUE(SpareWaits());
  }
}

TEST_F(SpareServicesTest, AreNoFamiliesUntilTheyServeOne) {
  EXPECT_EQ(broker_->Inspect()->families_size(), 1);
  EXPECT_EQ(broker_->Inspect()->families(0).channels(), 1u);
}

// INVARIANT(one-descriptor-one-capability)
TEST_F(SpareServicesTest, HoldNothingThatWasOpenedBefore) {
  // Two lanes, the lifeline, the socket for the listener; what its loop waits by.
  ASSERT_TRUE(Eventually([&] { return Descriptors(Spare()).size() == 6; }));
  for (const std::string& descriptor : Descriptors(Spare())) {
    EXPECT_TRUE(descriptor.rfind("socket:", 0) == 0 || descriptor == "anon_inode:[eventpoll]" ||
                descriptor == "anon_inode:[eventfd]")
        << descriptor;
  }
}

// INVARIANT(service-confined)
TEST_F(SpareServicesTest, AreConfinedWhenTheyServe) {
  const int spare = Spare();
  const std::string zygotes_filters = StatusField(spare, "Seccomp_filters");
  const std::shared_ptr<Channel> channel = Open({"a"});
  ASSERT_OK_AND_ASSIGN(const int process, ProbeClient(channel).Say("a"));
  ASSERT_EQ(process, spare);
  EXPECT_EQ(std::stoi(StatusField(process, "Seccomp_filters")), std::stoi(zygotes_filters) + 1);
  ASSERT_OK_AND_ASSIGN(const int forked, ProbeClient(first_).Say("a"));
  for (const char* field : {"NoNewPrivs", "Seccomp", "Seccomp_filters", "CapEff", "CapBnd"}) {
    EXPECT_EQ(StatusField(process, field), StatusField(forked, field)) << field;
  }
  const v1::InspectResponse tree = *broker_->Inspect();
  EXPECT_FALSE(tree.families(0).layers().empty());
  EXPECT_EQ(tree.families(1).layers(), tree.families(0).layers());
}

TEST_F(SpareServicesTest, SucceedAProcessThatCrashed) {
  const int spare = Spare();
  EXPECT_THAT(ProbeClient(first_).Die(SIGKILL), StatusIs(absl::StatusCode::kUnavailable));
  ASSERT_OK_AND_ASSIGN(const int successor, ProbeClient(first_).Say("a"));
  EXPECT_EQ(successor, spare);
  EXPECT_THAT(ProbeClient(first_).Say("b"), StatusIs(absl::StatusCode::kPermissionDenied));
}

// However far that has got. One that had its family by then has crashed, as any other may.
TEST_F(SpareServicesTest, AreReplacedWhenTheyAreKilled) {
  for (int round = 0; round < 10; ++round) {
    ASSERT_TRUE(SpareWaits());
    const int spare = Spare();
    ASSERT_NE(spare, 0);
    kill(spare, SIGKILL);
    if (round % 2 == 1) usleep(static_cast<useconds_t>(100 * round));
    ProbeClient probe(Open({"a"}));
    absl::StatusOr<int> process = probe.Say("a");
    if (absl::IsUnavailable(process.status())) process = probe.Say("a");
    ASSERT_OK(process) << "round " << round;
    EXPECT_NE(*process, spare);
    EXPECT_LE(broker_->Inspect()->families().rbegin()->restarts(), 1u);
  }
  EXPECT_TRUE(SpareWaits());
}

// They would be confined with a listener that nobody listens to.
TEST_F(SpareServicesTest, OfAZygoteThatHasDiedAreNotUsed) {
  const int spare = Spare();
  ASSERT_NE(spare, 0);
  const int zygote = broker_->Inspect()->zygote_process();
  kill(zygote, SIGKILL);
  ASSERT_TRUE(Eventually([&] {
    const int now = broker_->Inspect()->zygote_process();
    return now != zygote && now != 0;
  }));
  const std::shared_ptr<Channel> channel = Open({"a"});
  ASSERT_OK_AND_ASSIGN(const int process, ProbeClient(channel).Say("a"));
  EXPECT_NE(process, spare);
  EXPECT_EQ(broker_->Inspect()->families().rbegin()->restarts(), 0u);
  EXPECT_TRUE(Eventually([&] { return kill(spare, 0) != 0; }));
  EXPECT_TRUE(SpareWaits());
}

// INVARIANT(no-orphans)
TEST_F(SpareServicesTest, DieWithTheBroker) {
  const int spare = Spare();
  ASSERT_NE(spare, 0);
  first_.reset();
  broker_.reset();
  EXPECT_TRUE(Eventually([&] { return kill(spare, 0) != 0; }));
}

TEST(SpareServicesOptionTest, OutOfRangeIsRefused) {
  for (const int count : {-1, 65}) {
    EXPECT_THAT(Broker::Start({.spare_services = count}).status(),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST(SpareServicesOptionTest, WithoutItThereAreNone) {
  Broker broker = Broker::StartOrDie();
  absl::StatusOr<std::shared_ptr<Channel>> channel = broker.Open(Probe({"a"}));
  ASSERT_OK(channel);
  ASSERT_OK(ProbeClient(*channel).Say("a"));
  usleep(50'000);
  EXPECT_EQ(broker.Inspect()->spare_services(), 0u);
}

}  // namespace
}  // namespace capbroker
