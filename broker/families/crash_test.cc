// Service processes that crash, and what their successors know.
#include <signal.h>
#include <unistd.h>

#include <memory>
#include <thread>
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

class ServiceCrashTest : public ::testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<Broker> started = Broker::Start();
    ASSERT_OK(started);
    broker_ = std::make_unique<Broker>(*std::move(started));
  }

  std::shared_ptr<Channel> Open(std::initializer_list<std::string> words) {
    absl::StatusOr<std::shared_ptr<Channel>> channel = broker_->Open(Probe(words));
    EXPECT_OK(channel);
    return channel.value_or(nullptr);
  }

  static testing::v1::ProbeLimits Words(std::initializer_list<std::string> words) {
    testing::v1::ProbeLimits limits;
    for (const std::string& word : words) limits.add_words(word);
    return limits;
  }

  std::unique_ptr<Broker> broker_;
};

TEST_F(ServiceCrashTest, EndsTheCallInFlightAndIsSucceeded) {
  ProbeClient probe(Open({"a"}));
  ASSERT_OK_AND_ASSIGN(const int first, probe.Say("a"));
  EXPECT_THAT(probe.Die(SIGSEGV), StatusIs(absl::StatusCode::kUnavailable));
  ASSERT_OK_AND_ASSIGN(const int second, probe.Say("a"));
  EXPECT_NE(first, second);
  ASSERT_OK_AND_ASSIGN(const v1::InspectResponse tree, broker_->Inspect());
  ASSERT_EQ(tree.families_size(), 1);
  EXPECT_EQ(tree.families(0).restarts(), 1u);
}

TEST_F(ServiceCrashTest, EndsEveryCallInFlightWithUnavailable) {
  const std::shared_ptr<Channel> channel = Open({"a"});
  ProbeClient probe(channel);
  ASSERT_OK(probe.Say("a"));
  std::vector<absl::Status> results(4);
  std::vector<std::thread> callers;
  for (absl::Status& result : results) {
    callers.emplace_back([&] { result = ProbeClient(channel).Sleep(20'000); });
  }
  usleep(100'000);
  (void)probe.Die(SIGKILL);
  for (std::thread& caller : callers) caller.join();
  for (const absl::Status& result : results) {
    EXPECT_THAT(result, StatusIs(absl::StatusCode::kUnavailable));
  }
}

TEST_F(ServiceCrashTest, HolderThatWasIdleNoticesNothing) {
  const std::shared_ptr<Channel> channel = Open({"a"});
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> idle, channel->Clone());
  ASSERT_OK_AND_ASSIGN(const int process, ProbeClient(channel).Say("a"));
  (void)ProbeClient(channel).Die(SIGKILL);
  ASSERT_TRUE(Eventually([&] { return ProbeClient(channel).Say("a").ok(); }));
  usleep(100'000);  // the successor has told every channel of itself
  ASSERT_OK_AND_ASSIGN(const int successor, ProbeClient(idle).Say("a"));
  EXPECT_NE(successor, process);
}

// INVARIANT(limits-never-widen)
TEST_F(ServiceCrashTest, SuccessorKeepsWhatWasNarrowed) {
  const std::shared_ptr<Channel> channel = Open({"a", "b"});
  ProbeClient probe(channel);
  ASSERT_OK(probe.Say("b"));
  ASSERT_OK(channel->Narrow(Words({"a"})));
  EXPECT_THAT(probe.Say("b"), StatusIs(absl::StatusCode::kPermissionDenied));
  (void)probe.Die(SIGKILL);
  EXPECT_OK(probe.Say("a"));
  EXPECT_THAT(probe.Say("b"), StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_F(ServiceCrashTest, SuccessorServesEveryCloneWithItsOwnLimits) {
  const std::shared_ptr<Channel> channel = Open({"a", "b"});
  std::vector<std::shared_ptr<Channel>> clones;
  for (int i = 0; i < 40; ++i) {  // more than one packet of records
    absl::StatusOr<std::shared_ptr<Channel>> clone = channel->Clone();
    ASSERT_OK(clone);
    if (i % 2 == 0) {
      ASSERT_OK((*clone)->Narrow(Words({"a"})));
    }
    clones.push_back(*std::move(clone));
  }
  (void)ProbeClient(channel).Die(SIGKILL);
  for (size_t i = 0; i < clones.size(); ++i) {
    ProbeClient probe(clones[i]);
    // What was sent to the dead process is lost until the successor has the channel.
    EXPECT_TRUE(Eventually([&] { return probe.Say("a").ok(); })) << i;
    EXPECT_EQ(probe.Say("b").ok(), i % 2 == 1) << i;
  }
  EXPECT_OK(ProbeClient(channel).Say("b"));
}

TEST_F(ServiceCrashTest, SuccessorCountsTheClonesThatItTookOver) {
  const std::shared_ptr<Channel> channel = Open({"a"});
  std::vector<std::shared_ptr<Channel>> clones;
  for (int i = 0; i < 64; ++i) {  // the default budget
    absl::StatusOr<std::shared_ptr<Channel>> clone = channel->Clone();
    ASSERT_OK(clone);
    clones.push_back(*std::move(clone));
  }
  EXPECT_THAT(channel->Clone(), StatusIs(absl::StatusCode::kResourceExhausted));
  (void)ProbeClient(channel).Die(SIGKILL);
  ASSERT_OK(ProbeClient(channel).Say("a"));
  EXPECT_THAT(channel->Clone(), StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST_F(ServiceCrashTest, RevokedStaysRevoked) {
  const std::shared_ptr<Channel> channel = Open({"a"});
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> clone, channel->Clone());
  ProbeClient probe(channel);
  ASSERT_OK_AND_ASSIGN(const int process, probe.Say("a"));
  ASSERT_OK_AND_ASSIGN(const Revocation revoked, broker_->Revoke(*channel));
  EXPECT_EQ(revoked.channels, 2);
  EXPECT_THAT(probe.Say("a"), StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_THAT(ProbeClient(clone).Say("a"), StatusIs(absl::StatusCode::kPermissionDenied));
  kill(process, SIGKILL);
  EXPECT_TRUE(Eventually([&] {
    const absl::StatusCode code = probe.Say("a").status().code();
    EXPECT_TRUE(code == absl::StatusCode::kPermissionDenied ||
                code == absl::StatusCode::kUnavailable);
    const auto tree = broker_->Inspect();
    return tree.ok() && tree->families_size() == 1 && tree->families(0).restarts() == 1 &&
           code == absl::StatusCode::kPermissionDenied;
  }));
}

TEST_F(ServiceCrashTest, RevokingACloneLeavesItsParentAsItWas) {
  const std::shared_ptr<Channel> channel = Open({"a"});
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> clone, channel->Clone());
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> below, clone->Clone());
  ASSERT_OK_AND_ASSIGN(const Revocation revoked, broker_->Revoke(*clone));
  EXPECT_EQ(revoked.channels, 2);
  ASSERT_OK_AND_ASSIGN(const int process, ProbeClient(channel).Say("a"));
  kill(process, SIGKILL);
  EXPECT_TRUE(Eventually([&] { return ProbeClient(channel).Say("a").ok(); }));
  // Their first call may be one that the crash has ended.
  for (const std::shared_ptr<Channel>& lost : {clone, below}) {
    EXPECT_TRUE(
        Eventually([&] { return absl::IsPermissionDenied(ProbeClient(lost).Say("a").status()); }));
  }
  EXPECT_THAT(below->Clone(), StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_F(ServiceCrashTest, OnlyItsOwnBrokerRevokesAChannel) {
  const std::shared_ptr<Channel> channel = Open({"a"});
  ASSERT_OK_AND_ASSIGN(Broker other, Broker::Start());
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> others, other.Open(testing::Probe({"a"})));
  EXPECT_THAT(broker_->Revoke(*others), StatusIs(absl::StatusCode::kNotFound));
  ASSERT_OK_AND_ASSIGN(UniqueFd lane, channel->Release());
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> adopted, Channel::Adopt(std::move(lane)));
  EXPECT_THAT(broker_->Revoke(*adopted), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_OK(ProbeClient(adopted).Say("a"));
  EXPECT_OK(broker_->Revoke(*channel)) << "the first stands for all that came of it";
  EXPECT_THAT(ProbeClient(adopted).Say("a"), StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_F(ServiceCrashTest, RevocationIsEnforcedOnAProcessThatDoesNotAnswer) {
  const std::shared_ptr<Channel> channel = Open({"a"});
  ProbeClient probe(channel);
  ASSERT_OK_AND_ASSIGN(const int process, probe.Say("a"));
  kill(process, SIGSTOP);
  ASSERT_OK(broker_->Inspect());  // the broker waits for nobody
  EXPECT_OK(broker_->Revoke(*channel));
  const absl::Status after = probe.Say("a").status();
  EXPECT_THAT(after, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_TRUE(Eventually([&] { return broker_->Inspect()->families_size() == 0; }));
}

TEST_F(ServiceCrashTest, RevokedWhileItsServiceIsBeingMadeStaysRevoked) {
  absl::StatusOr<std::shared_ptr<Channel>> channel = broker_->Open(testing::SlowlyMadeProbe({"a"}));
  ASSERT_OK(channel);
  usleep(50'000);
  ASSERT_OK(broker_->Revoke(**channel));
  EXPECT_THAT(ProbeClient(*channel).Say("a"), StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_F(ServiceCrashTest, CrashesTooOftenAndTheFamilyEnds) {
  absl::StatusOr<std::shared_ptr<Channel>> channel = broker_->Open(testing::BrokenProbe());
  ASSERT_OK(channel);
  EXPECT_THAT(ProbeClient(*channel).Say("a"), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_TRUE(Eventually([&] { return broker_->Inspect()->families_size() == 0; }));
  // Later calls fail at once.
  EXPECT_THAT(ProbeClient(*channel).Say("a"), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(ServiceCrashTest, LastChannelEndsTheProcessAndTheFamily) {
  int process = 0;
  {
    const std::shared_ptr<Channel> channel = Open({"a"});
    ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> clone, channel->Clone());
    ASSERT_OK_AND_ASSIGN(process, ProbeClient(clone).Say("a"));
  }
  EXPECT_TRUE(Eventually([&] { return broker_->Inspect()->families_size() == 0; }));
  EXPECT_NE(kill(process, 0), 0);
}

TEST_F(ServiceCrashTest, OfOneFamilyIsNotNoticedByAnother) {
  ProbeClient one(Open({"a"}));
  ProbeClient other(Open({"a"}));
  ASSERT_OK_AND_ASSIGN(const int process, other.Say("a"));
  ASSERT_OK(one.Say("a"));
  (void)one.Die(SIGABRT);
  EXPECT_EQ(other.Say("a").value_or(-1), process);
}

}  // namespace
}  // namespace capbroker
