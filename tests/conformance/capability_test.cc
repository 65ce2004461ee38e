// What a channel's holder can do with the channel itself, and what not.
#include <sys/socket.h>
#include <time.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/status_matchers.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/dynamic_message.h"
#include "tests/conformance/conformance.capbroker.h"
#include "tests/conformance/conformance.dispatch.h"
#include "tests/conformance/conformance_service.h"
#include "tests/conformance/local_family.h"
#include "transport/grpc_status.h"
#include "transport/lane_socket.h"

namespace capbroker::testing {
namespace {

using ::capbroker::v1::Denial;

v1::ConformanceLimits Words(const std::vector<std::string>& words) {
  v1::ConformanceLimits limits;
  for (const std::string& word : words) limits.add_words(word);
  return limits;
}

std::unique_ptr<LocalFamily> Family(const std::vector<std::string>& words) {
  return std::make_unique<LocalFamily>(
      v1::CapbrokerMakeDispatch(std::make_unique<ConformanceService>()), Words(words));
}

grpc::Status Echo(const std::shared_ptr<Channel>& channel, const std::string& word) {
  grpc::ClientContext context;
  v1::EchoRequest request;
  request.set_word(word);
  v1::EchoResponse response;
  return NewStub<v1::Conformance>(channel)->Echo(&context, request, &response);
}

Denial::Reason ReasonOf(const grpc::Status& status) {
  const std::optional<Denial> denial = DenialOf(status);
  return denial ? denial->reason() : Denial::REASON_UNSPECIFIED;
}

TEST(CapabilityTest, DescribesTheChannel) {
  const auto family = Family({"yes"});
  Channel channel(family->TakeLane());
  ASSERT_OK_AND_ASSIGN(const ::capbroker::v1::DescribeResponse description, channel.Describe());
  EXPECT_EQ(description.service(), "capbroker.testing.v1.Conformance");
  EXPECT_EQ(description.limits(), "capbroker.testing.v1.ConformanceLimits");
  EXPECT_EQ(description.methods_size(), 7);
  v1::ConformanceLimits limits;
  ASSERT_OK(channel.GetLimits(&limits));
  EXPECT_EQ(limits.words_size(), 1);
}

TEST(CapabilityTest, EmptyLimitsAllowNothing) {
  const auto family = Family({});
  const auto channel = std::make_shared<Channel>(family->TakeLane());
  EXPECT_EQ(ReasonOf(Echo(channel, "yes")), Denial::NOT_IN_LIMITS);
  EXPECT_EQ(ReasonOf(Echo(channel, "")), Denial::NOT_IN_LIMITS);
}

TEST(CapabilityTest, NarrowingNeverWidens) {
  const auto family = Family({"yes", "also"});
  const auto channel = std::make_shared<Channel>(family->TakeLane());
  ASSERT_OK(channel->Narrow(Words({"yes", "more"})));
  EXPECT_TRUE(Echo(channel, "yes").ok());
  EXPECT_EQ(ReasonOf(Echo(channel, "also")), Denial::NOT_IN_LIMITS);
  EXPECT_EQ(ReasonOf(Echo(channel, "more")), Denial::NOT_IN_LIMITS);
  ASSERT_OK(channel->Narrow(Words({"*"})));
  EXPECT_EQ(ReasonOf(Echo(channel, "also")), Denial::NOT_IN_LIMITS);
  ASSERT_OK(channel->Narrow(Words({})));
  ASSERT_OK(channel->Narrow(Words({"yes"})));
  EXPECT_EQ(ReasonOf(Echo(channel, "yes")), Denial::NOT_IN_LIMITS);
}

TEST(CapabilityTest, NarrowSaysWhatHadNoEffect) {
  const auto family = Family({"yes"});
  Channel channel(family->TakeLane());
  ASSERT_OK_AND_ASSIGN(const auto narrowed, channel.Narrow(Words({"yes", "more"})));
  ASSERT_EQ(narrowed.without_effect_size(), 1);
  EXPECT_EQ(narrowed.without_effect(0), "words");
}

TEST(CapabilityTest, NarrowingThatChangesNothingIsNotCommitted) {
  const auto family = Family({"yes", "also"});
  const auto channel = std::make_shared<Channel>(family->TakeLane());
  ASSERT_OK_AND_ASSIGN(auto narrowed, channel->Narrow(Words({"yes", "also"})));
  ASSERT_OK_AND_ASSIGN(narrowed, channel->Narrow(Words({"*"})));
  ASSERT_OK_AND_ASSIGN(narrowed, channel->Narrow(Words({"also", "yes", "more", "yes"})));
  EXPECT_EQ(family->commits(), 0);
  v1::ConformanceLimits in_force;
  ASSERT_TRUE(narrowed.limits().UnpackTo(&in_force));
  EXPECT_EQ(in_force.words_size(), 2);
  ASSERT_OK(channel->Narrow(Words({"yes"})));
  EXPECT_EQ(family->commits(), 1);
  ASSERT_OK(channel->Narrow(Words({"yes"})));
  EXPECT_EQ(family->commits(), 1);
}

// 48 KiB of limits in few entries: what counts as much as it can, and is done soon.
std::vector<std::string> LongWords() {
  std::vector<std::string> words;
  for (char c = 'a'; c < 'm'; ++c) words.push_back(std::string(4000, c));
  return words;
}

// Calls until it is refused, which has to be by the rate `field`; how often it was not.
template <typename CallOnce>
int CallsUntilRefused(const std::string& field, CallOnce call) {
  constexpr int kWithoutEnd = 1'000'000;
  for (int calls = 0; calls < kWithoutEnd; ++calls) {
    const absl::Status status = call();
    if (status.ok()) continue;
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted));
    const std::optional<Denial> denial = DenialOf(status);
    EXPECT_TRUE(denial.has_value());
    EXPECT_EQ(denial.value_or(Denial()).reason(), Denial::BUDGET_EXHAUSTED);
    EXPECT_EQ(denial.value_or(Denial()).field(), field);
    return calls;
  }
  return kWithoutEnd;
}

// INVARIANT(nobody-spins-for-a-stranger)
TEST(CapabilityTest, HolderCannotMakeTheBrokerCommitWithoutEnd) {
  const auto family = Family(LongWords());
  const auto channel = std::make_shared<Channel>(family->TakeLane());
  const auto clone_and_narrow = [&channel]() -> absl::Status {
    absl::StatusOr<std::shared_ptr<Channel>> clone = absl::UnknownError("");
    // Clones are given back when the service sees that they are gone.
    do {
      clone = channel->Clone();
    } while (DenialOf(clone.status()).value_or(Denial()).field() == "clones");
    if (!clone.ok()) return clone.status();
    return (*clone)->Narrow(Words({LongWords()[0]})).status();
  };
  const int times = CallsUntilRefused("channel_changes_per_minute", clone_and_narrow);
  EXPECT_GT(times, 100);
  EXPECT_LT(times, 130) << "each of them is of more than 48 KiB";
  EXPECT_LE(family->commits(), times);
  EXPECT_LE(family->clones(), times + 1);
  // The service goes on.
  EXPECT_EQ(ReasonOf(Echo(channel, "yes")), Denial::NOT_IN_LIMITS);
}

TEST(CapabilityTest, HolderCannotAskAboutTheChannelWithoutEnd) {
  const auto family = Family(LongWords());
  const auto channel = std::make_shared<Channel>(family->TakeLane());
  v1::ConformanceLimits limits;
  EXPECT_LT(
      CallsUntilRefused("channel_calls_per_minute", [&] { return channel->GetLimits(&limits); }),
      2000);
  const std::string rate = "channel_calls_per_minute";
  EXPECT_LT(CallsUntilRefused(rate, [&] { return channel->Describe().status(); }), 100);
  EXPECT_EQ(CallsUntilRefused(rate, [&] { return channel->Narrow(Words({})).status(); }), 0);
  EXPECT_EQ(family->commits(), 0);
  EXPECT_EQ(ReasonOf(Echo(channel, "yes")), Denial::NOT_IN_LIMITS);
}

TEST(CapabilityTest, LimitsOfAnotherTypeOrWithUnknownFieldsAreInvalidArgument) {
  const auto family = Family({"yes"});
  const auto channel = std::make_shared<Channel>(family->TakeLane());
  EXPECT_THAT(channel->Narrow(v1::EchoRequest()), StatusIs(absl::StatusCode::kInvalidArgument));
  v1::ConformanceLimits limits = Words({"yes"});
  limits.GetReflection()->MutableUnknownFields(&limits)->AddVarint(99, 1);
  EXPECT_THAT(channel->Narrow(limits), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_TRUE(Echo(channel, "yes").ok());
}

TEST(CapabilityTest, ClonesNarrowIndependently) {
  const auto family = Family({"yes", "also"});
  const auto channel = std::make_shared<Channel>(family->TakeLane());
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> clone, channel->Clone());
  ASSERT_OK(clone->Narrow(Words({"also"})));
  EXPECT_TRUE(Echo(channel, "yes").ok());
  EXPECT_EQ(ReasonOf(Echo(clone, "yes")), Denial::NOT_IN_LIMITS);
  EXPECT_TRUE(Echo(clone, "also").ok());
}

TEST(CapabilityTest, ClonesShareTheBudget) {
  const auto family = Family({"yes"});
  const auto channel = std::make_shared<Channel>(family->TakeLane());
  std::vector<std::shared_ptr<Channel>> clones;
  absl::Status refused;
  while (refused.ok() && clones.size() < 100) {
    // Of every other clone: a clone's clones are the family's.
    absl::StatusOr<std::shared_ptr<Channel>> clone =
        clones.empty() ? channel->Clone() : clones.back()->Clone();
    if (clone.ok()) clones.push_back(*clone);
    refused = clone.status();
  }
  EXPECT_EQ(clones.size(), 8u);
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kResourceExhausted));
  clones.pop_back();
  absl::StatusOr<std::shared_ptr<Channel>> again = absl::UnknownError("");
  for (int i = 0; i < 2000 && !again.ok(); ++i) {
    again = channel->Clone();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_OK(again);
}

TEST(CapabilityTest, AdoptedChannelIsNotTheSendersAnyMore) {
  const auto family = Family({"yes"});
  UniqueFd lane = family->TakeLane();
  ASSERT_OK_AND_ASSIGN(UniqueFd kept, Duplicate(lane));
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> adopted, Channel::Adopt(std::move(lane)));
  // The sender reads whatever comes on its duplicate: none of it is the adopter's.
  std::thread thief([&kept] {
    transport::ReceiveBuffer buffer;
    for (int i = 0; i < 20; ++i) {
      (void)transport::ReceivePacket(kept, buffer, transport::PacketDirection::kToClient,
                                     transport::Blocking::kWait);
    }
  });
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(Echo(adopted, "yes").ok());
  thief.join();
}

// INVARIANT(one-holder-per-end)
TEST(CapabilityTest, WhoKeptADuplicateOfAnAdoptedChannelHoldsNothing) {
  const auto family = Family({"yes"});
  UniqueFd lane = family->TakeLane();
  ASSERT_OK_AND_ASSIGN(UniqueFd kept, Duplicate(lane));
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> adopted, Channel::Adopt(std::move(lane)));
  EXPECT_THAT(Channel(std::move(kept)).Describe(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_TRUE(Echo(adopted, "yes").ok());
}

TEST(CapabilityTest, DescribesWhatTheChannelIsTo) {
  const auto family = Family({"yes"});
  Channel channel(family->TakeLane());
  ASSERT_OK_AND_ASSIGN(const auto brief, channel.Describe());
  EXPECT_EQ(brief.service(), "capbroker.testing.v1.Conformance");
  EXPECT_EQ(brief.limits(), "capbroker.testing.v1.ConformanceLimits");
  EXPECT_EQ(brief.health(), ::capbroker::v1::DescribeResponse::SERVING);
  EXPECT_EQ(brief.limits_schema(), "");
  EXPECT_GT(brief.methods_size(), 4);
}

TEST(CapabilityTest, SchemaIsEnoughToReadLimitsOfAnUnknownType) {
  const auto family = Family({"yes"});
  Channel channel(family->TakeLane());
  ASSERT_OK_AND_ASSIGN(const auto described, channel.Describe(/*with_schema=*/true));
  google::protobuf::FileDescriptorSet files;
  ASSERT_TRUE(files.ParseFromString(described.limits_schema()));
  google::protobuf::DescriptorPool pool;
  for (const auto& file : files.file()) ASSERT_NE(pool.BuildFile(file), nullptr) << file.name();
  const google::protobuf::Descriptor* const type = pool.FindMessageTypeByName(described.limits());
  ASSERT_NE(type, nullptr);
  google::protobuf::DynamicMessageFactory factory;
  const std::unique_ptr<google::protobuf::Message> limits(factory.GetPrototype(type)->New());
  ASSERT_OK(channel.GetLimits(limits.get()));
  EXPECT_EQ(limits->ShortDebugString(), "words: \"yes\"");
}

TEST(CapabilityTest, HandingOnNeedsAnIdleChannel) {
  const auto family = Family({"yes"});
  const auto channel = std::make_shared<Channel>(family->TakeLane());
  const auto stub = NewStub<v1::Conformance>(channel);
  std::thread caller([&stub] {
    grpc::ClientContext context;
    v1::WaitRequest request;
    request.set_word("yes");
    request.set_milliseconds(300);
    v1::WaitResponse response;
    EXPECT_TRUE(stub->Wait(&context, request, &response).ok());
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_THAT(channel->Release(), StatusIs(absl::StatusCode::kFailedPrecondition));
  caller.join();
  ASSERT_OK_AND_ASSIGN(UniqueFd lane, channel->Release());
  EXPECT_EQ(Echo(channel, "yes").error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(Echo(std::make_shared<Channel>(std::move(lane)), "yes").ok());
}

TEST(CapabilityTest, CallEndsWhenItsServiceIsGone) {
  absl::StatusOr<transport::LanePair> lane =
      transport::MakeLane(transport::ClientDescriptors::kRefused);
  ASSERT_OK(lane);
  const auto channel = std::make_shared<Channel>(std::move(lane->client));
  std::thread peer([service = std::move(lane->service)]() mutable {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    service.Reset();
  });
  EXPECT_EQ(Echo(channel, "yes").error_code(), grpc::StatusCode::UNAVAILABLE);
  peer.join();
  EXPECT_EQ(Echo(channel, "yes").error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST(CapabilityTest, EpochEndsCallsInFlightAndTheChannelGoesOn) {
  absl::StatusOr<transport::LanePair> lane =
      transport::MakeLane(transport::ClientDescriptors::kRefused);
  ASSERT_OK(lane);
  const auto channel = std::make_shared<Channel>(std::move(lane->client));
  std::thread caller(
      [&channel] { EXPECT_EQ(Echo(channel, "yes").error_code(), grpc::StatusCode::UNAVAILABLE); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  transport::OutgoingPacket epoch;
  epoch.header.type = transport::PacketType::kEpoch;
  ASSERT_OK(transport::SendPacket(lane->service, epoch).status);
  caller.join();
  // The next call waits for an answer again.
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
  v1::EchoRequest request;
  v1::EchoResponse response;
  EXPECT_EQ(NewStub<v1::Conformance>(channel)->Echo(&context, request, &response).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
}

TEST(CapabilityTest, IdleChannelUsesNoCpu) {
  const auto family = Family({"yes"});
  const auto channel = std::make_shared<Channel>(family->TakeLane());
  ASSERT_TRUE(Echo(channel, "yes").ok());
  timespec before;
  timespec after;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
  const double used = static_cast<double>(after.tv_sec - before.tv_sec) +
                      static_cast<double>(after.tv_nsec - before.tv_nsec) / 1e9;
  EXPECT_LT(used, 0.005);
}

}  // namespace
}  // namespace capbroker::testing
