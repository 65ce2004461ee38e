// What an application puts between a channel and its holder, with a real broker: log,
// narrow, limit the rate, fake an answer, delay; and what becomes of calls when the proxy
// or what is upstream of it ends.
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "broker/testing/descendants.h"
#include "broker/testing/probe.proxy.h"
#include "broker/testing/probe_client.h"
#include "broker/testing/probe_service.h"
#include "client/broker.h"
#include "services/interpose.h"
#include "tests/interposition/interposers.h"
#include "transport/grpc_status.h"

namespace capbroker::testing {
namespace {

using ::capbroker::v1::Denial;
using ::capbroker::v1::InspectResponse;

v1::ProbeLimits Words(std::initializer_list<std::string> words) {
  v1::ProbeLimits limits;
  for (const std::string& word : words) limits.add_words(word);
  return limits;
}

class InterpositionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<Broker> started = Broker::Start();
    ASSERT_OK(started);
    broker_.emplace(*std::move(started));
  }

  std::shared_ptr<Channel> Open(const Authority& authority) {
    absl::StatusOr<std::shared_ptr<Channel>> channel = broker_->Open(authority);
    EXPECT_OK(channel);
    return channel.value_or(nullptr);
  }

  template <typename Implementation>
  std::shared_ptr<Channel> OpenProxy(std::initializer_list<std::string> words,
                                     const InterposeOptions& options = {}) {
    return Open(Interpose<v1::Probe, Implementation>(Open(Probe({"*"})), Words(words), options));
  }

  std::optional<InspectResponse::Family> FindFamily(bool proxy) {
    const absl::StatusOr<InspectResponse> tree = broker_->Inspect();
    EXPECT_OK(tree);
    for (const InspectResponse::Family& family : tree->families()) {
      if (absl::StrContains(family.service(), "#proxy.") == proxy) return family;
    }
    return std::nullopt;
  }

  void KillProxy() {
    const uint32_t before = FindFamily(true)->restarts();
    kill(FindFamily(true)->process(), SIGKILL);
    EXPECT_TRUE(Eventually([&] {
      const auto family = FindFamily(true);
      return family && family->restarts() > before && family->process() != 0;
    }));
  }

  std::optional<Broker> broker_;
};

Denial::Reason ReasonOf(const absl::Status& status) {
  const std::optional<Denial> denial = DenialOf(status);
  return denial ? denial->reason() : Denial::REASON_UNSPECIFIED;
}

TEST_F(InterpositionTest, NarrowsWhatItWasGiven) {
  const std::shared_ptr<Channel> upstream = Open(Probe({"a", "b"}));
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> kept, upstream->Clone());
  ProbeClient probe(Open(Interpose<v1::Probe>(upstream, Words({"a", "c"}))));
  ASSERT_OK_AND_ASSIGN(const int process, probe.Say("a"));
  EXPECT_EQ(process, FindFamily(false)->process()) << "not the proxy's own answer";
  // By the proxy, and by what is upstream.
  EXPECT_EQ(ReasonOf(probe.Say("b").status()), Denial::NOT_IN_LIMITS);
  EXPECT_EQ(ReasonOf(probe.Say("c").status()), Denial::NOT_IN_LIMITS);
  EXPECT_OK(ProbeClient(kept).Say("b"));
  EXPECT_FALSE(ProbeClient(upstream).Say("a").ok()) << "it was given away";
}

TEST_F(InterpositionTest, Logs) {
  google::protobuf::StringValue path;
  path.set_value(absl::StrCat(::testing::TempDir(), "log.", getpid()));
  ProbeClient probe(OpenProxy<Logger>({"a"}, {.settings = &path}));
  ASSERT_OK(probe.Say("a"));
  EXPECT_FALSE(probe.Say("b").ok());  // refused in front of the interposer
  ASSERT_OK(probe.Look());
  EXPECT_THAT(probe.Die(SIGKILL), StatusIs(absl::StatusCode::kUnavailable));
  std::ifstream log(path.value());
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(log), {}), "Say 0\nLook 0\nDie 14\n");
  unlink(path.value().c_str());
}

TEST_F(InterpositionTest, LimitsTheRate) {
  ProbeClient probe(OpenProxy<RateLimiter>({"a"}));
  for (int i = 0; i < 3; ++i) ASSERT_OK(probe.Say("a"));
  EXPECT_THAT(probe.Say("a"), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_TRUE(Eventually([&] { return probe.Say("a").ok(); }));
}

TEST_F(InterpositionTest, FakesAnswersAndChangesRequests) {
  ProbeClient probe(OpenProxy<Faker>({"fake", "other"}));
  EXPECT_EQ(probe.Say("fake").value_or(0), -7);
  EXPECT_EQ(probe.Say("other").value_or(0), FindFamily(false)->process());
}

TEST_F(InterpositionTest, Delays) {
  ProbeClient probe(OpenProxy<Delay<150>>({"a"}));
  const absl::Time start = absl::Now();
  ASSERT_OK(probe.Say("a"));
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(150));
}

TEST_F(InterpositionTest, WaitingEndsWithTheCaller) {
  const auto stub = NewStub<v1::Probe>(OpenProxy<Delay<60'000>>({"a"}));
  v1::SayRequest request;
  request.set_word("a");
  v1::SayResponse response;
  for (int i = 0; i < 12; ++i) {  // more than a channel has threads for
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
    EXPECT_EQ(stub->Say(&context, request, &response).error_code(),
              grpc::StatusCode::DEADLINE_EXCEEDED);
  }
}

TEST_F(InterpositionTest, IsMadeInTheServiceProcessOfTheProxyAlone) {
  ProbeClient probe(OpenProxy<Interposer>({"a"}));
  ASSERT_OK(probe.Say("a"));
  ASSERT_OK_AND_ASSIGN(const InspectResponse tree, broker_->Inspect());
  EXPECT_EQ(tree.families_size(), 2);
  EXPECT_NE(FindFamily(true)->process(), FindFamily(false)->process());
}

TEST_F(InterpositionTest, RevocationOfItsOwnChannelLeavesWhatIsUpstream) {
  const std::shared_ptr<Channel> upstream = Open(Probe({"a"}));
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> kept, upstream->Clone());
  const std::shared_ptr<Channel> proxy = Open(Interpose<v1::Probe>(upstream, Words({"a"})));
  ASSERT_OK(ProbeClient(proxy).Say("a"));
  ASSERT_OK(broker_->Revoke(*proxy));
  EXPECT_EQ(ReasonOf(ProbeClient(proxy).Say("a").status()), Denial::REVOKED);
  EXPECT_OK(ProbeClient(kept).Say("a"));
}

TEST_F(InterpositionTest, RevocationUpstreamEndsItsCallsWithThatReason) {
  const std::shared_ptr<Channel> upstream = Open(Probe({"a"}));
  ProbeClient probe(Open(Interpose<v1::Probe>(upstream, Words({"a"}))));
  ASSERT_OK(probe.Say("a"));
  absl::Status in_flight;
  std::thread caller([&] { in_flight = probe.Sleep(20'000); });
  absl::SleepFor(absl::Milliseconds(100));
  ASSERT_OK(broker_->Revoke(*upstream));
  caller.join();
  EXPECT_EQ(ReasonOf(in_flight), Denial::REVOKED) << in_flight;
  EXPECT_EQ(ReasonOf(probe.Say("a").status()), Denial::REVOKED);
  // A successor, which has to clone what is revoked, says the same.
  KillProxy();
  EXPECT_TRUE(Eventually([&] { return ReasonOf(probe.Say("a").status()) == Denial::REVOKED; }));
}

TEST_F(InterpositionTest, CrashOfTheProxyEndsItsCallsAndASuccessorForwards) {
  ProbeClient probe(OpenProxy<Interposer>({"a"}));
  ASSERT_OK_AND_ASSIGN(const int upstream, probe.Say("a"));
  absl::Status in_flight;
  std::thread caller([&] { in_flight = probe.Sleep(20'000); });
  absl::SleepFor(absl::Milliseconds(100));
  for (int crash = 0; crash < 3; ++crash) {
    KillProxy();
    EXPECT_TRUE(Eventually([&] { return probe.Say("a").value_or(0) == upstream; })) << crash;
  }
  caller.join();
  EXPECT_THAT(in_flight, StatusIs(absl::StatusCode::kUnavailable));
  // No clone upstream outlives the process that made it.
  EXPECT_TRUE(Eventually([&] { return FindFamily(false)->channels() == 2; }));
}

TEST_F(InterpositionTest, CrashUpstreamEndsItsCallsAndLaterOnesGoOn) {
  ProbeClient probe(OpenProxy<Interposer>({"a"}));
  ASSERT_OK_AND_ASSIGN(const int first, probe.Say("a"));
  EXPECT_THAT(probe.Die(SIGSEGV), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_TRUE(Eventually([&] {
    const int process = probe.Say("a").value_or(0);
    return process != 0 && process != first;
  }));
  EXPECT_EQ(FindFamily(true)->restarts(), 0u);
}

TEST_F(InterpositionTest, EndOfWhatIsUpstreamIsUnavailable) {
  ProbeClient probe(Open(Interpose<v1::Probe>(Open(BrokenProbe()), Words({"a"}))));
  EXPECT_THAT(probe.Say("a"), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(probe.Say("a"), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(FindFamily(true)->restarts(), 0u);
}

TEST_F(InterpositionTest, LastChannelOfTheProxyEndsWhatIsUpstreamToo) {
  {
    const std::shared_ptr<Channel> channel = OpenProxy<Interposer>({"a"});
    ASSERT_OK(ProbeClient(channel).Say("a"));
  }
  EXPECT_TRUE(Eventually([&] { return broker_->Inspect()->families_size() == 0; }));
}

TEST_F(InterpositionTest, ProxiesStandBehindEachOther) {
  std::shared_ptr<Channel> channel = Open(Probe({"a", "fake"}));
  for (int i = 0; i < 3; ++i) channel = Open(Interpose<v1::Probe>(channel, Words({"a", "fake"})));
  channel = Open(Interpose<v1::Probe, Faker>(channel, Words({"a", "fake"})));
  ProbeClient probe(channel);
  EXPECT_OK(probe.Say("a"));
  EXPECT_EQ(probe.Say("fake").value_or(0), -7);
  EXPECT_EQ(ReasonOf(probe.Say("b").status()), Denial::NOT_IN_LIMITS);
}

int SayA(Grants grants) {
  ProbeClient probe(*grants.Channel("probe"));
  return probe.Say("a").ok() && !probe.Say("b").ok() && probe.Say("fake").value_or(0) == -7 ? 0 : 1;
}

TEST_F(InterpositionTest, IsGrantedToAWorkerInOneExpression) {
  ASSERT_OK_AND_ASSIGN(
      Worker worker,
      broker_->Launch({.entry = SayA,
                       .grants = {{"probe", Interpose<v1::Probe, Faker>(Open(Probe({"*"})),
                                                                        Words({"a", "fake"}))}}}));
  EXPECT_EQ(worker.Wait().exit_code(), 0);
}

TEST_F(InterpositionTest, WithoutAChannelFailsItsCalls) {
  Authority authority = Interpose<v1::Probe>(nullptr, Words({"a"}));
  EXPECT_THAT(ProbeClient(Open(authority)).Say("a"),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(InterpositionTest, SettingsAreBounded) {
  google::protobuf::StringValue large;
  large.set_value(std::string(300'000, 'x'));
  EXPECT_THAT(broker_->Open(Interpose<v1::Probe, Logger>(Open(Probe({"a"})), Words({"a"}),
                                                         {.settings = &large})),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace capbroker::testing
