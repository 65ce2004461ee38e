#include "broker/families/audit_trail.h"

#include <memory>
#include <string>
#include <utility>

#include "base/status_matchers.h"
#include "broker/testing/probe_service.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transport/lane_socket.h"

namespace capbroker::broker {
namespace {

using v1::AuditEvent;

class AuditTrailTest : public ::testing::Test {
 protected:
  AuditTrailTest()
      : loop_(serving::EventLoop::Create().value()),
        trail_(loop_.get()),
        schema_(authority::ServiceSchema::Compile(*service_->descriptor).value()) {
    EXPECT_OK(trail_.Start({}));
    const Authority authority = testing::Probe({"a"});
    family_ =
        Family::Create(9, *service_, *schema_, authority.limits, nullptr, false,
                       transport::MakeLane(transport::ClientDescriptors::kRefused).value().service)
            .value();
    family_->SetHolder(kFirstChannel, std::make_shared<const Holder>(Holder{4, "mine"}));
  }

  v1::ReadAuditResponse Read() {
    v1::ReadAuditResponse response;
    EXPECT_OK(trail_.Read(absl::ZeroDuration(),
                          {.response = [&response] { return &response; }, .done = [] {}}));
    return response;
  }

  // What is told of what a service process says.
  v1::ReadAuditResponse Told(const AuditEvent& said) {
    v1::ReportEventsRequest request;
    *request.add_events() = said;
    trail_.Report(*family_, request);
    return Read();
  }

  const serving::ServiceDefinition* const service_ =
      serving::FindService(testing::Probe({}).service);
  std::unique_ptr<serving::EventLoop> loop_;
  AuditTrail trail_;
  std::unique_ptr<const authority::ServiceSchema> schema_;
  std::unique_ptr<Family> family_;
};

TEST_F(AuditTrailTest, WhoAndWhenAreNotTheServiceProcesssToSay) {
  AuditEvent said;
  said.set_kind(AuditEvent::DENIED);
  said.set_channel(kFirstChannel);
  said.set_sequence(1000);
  said.mutable_time()->set_seconds(5);
  said.set_service("another");
  said.set_family(77);
  said.set_worker(88);
  said.set_grant("another's");
  said.set_text("anything");
  const v1::ReadAuditResponse told = Told(said);
  ASSERT_EQ(told.events_size(), 1);
  const AuditEvent& event = told.events(0);
  EXPECT_EQ(event.sequence(), 1u);
  EXPECT_GT(event.time().seconds(), 1'000'000'000);
  EXPECT_EQ(event.service(), service_->name);
  EXPECT_EQ(event.family(), 9u);
  EXPECT_EQ(event.worker(), 4u);
  EXPECT_EQ(event.grant(), "mine");
  EXPECT_EQ(event.text(), "");
}

TEST_F(AuditTrailTest, ServiceProcessCannotTellWhatTheBrokerAloneKnows) {
  for (int kind = 0; kind < AuditEvent::Kind_ARRAYSIZE; ++kind) {
    AuditEvent said;
    said.set_kind(static_cast<AuditEvent::Kind>(kind));
    said.set_channel(kFirstChannel);
    const bool may = kind == AuditEvent::ALLOWED || kind == AuditEvent::DENIED ||
                     kind == AuditEvent::DELIVERED || kind == AuditEvent::LEARNED ||
                     kind == AuditEvent::LEFT_OUT;
    EXPECT_EQ(Told(said).events_size(), may ? 1 : 0) << kind;
  }
}

TEST_F(AuditTrailTest, ServiceProcessCannotTellOfChannelsThatItNeverHad) {
  AuditEvent said;
  said.set_kind(AuditEvent::DENIED);
  for (const uint64_t channel : {0, 2, 1000}) {
    said.set_channel(channel);
    EXPECT_EQ(Told(said).events_size(), 0) << channel;
  }
}

TEST_F(AuditTrailTest, TextsArePrintableAndBounded) {
  AuditEvent said;
  said.set_kind(AuditEvent::DENIED);
  said.set_channel(kFirstChannel);
  said.set_method(std::string("\x1b[2J\n") + std::string(100'000, 'm'));
  for (int i = 0; i < 100; ++i) said.add_values()->set_value(std::string(100'000, '\n'));
  const v1::ReadAuditResponse told = Told(said);
  ASSERT_EQ(told.events_size(), 1);
  EXPECT_THAT(told.events(0).method(), ::testing::StartsWith("\\033[2J\\n"));
  EXPECT_LT(told.ByteSizeLong(), 256u << 10);
  EXPECT_EQ(told.DebugString().find('\x1b'), std::string::npos);
}

TEST_F(AuditTrailTest, FloodOfOneSourceLeavesRoomForTheOthers) {
  v1::ReportEventsRequest flood;
  for (int i = 0; i < 100; ++i) {
    AuditEvent* const said = flood.add_events();
    said->set_kind(AuditEvent::ALLOWED);
    said->set_channel(kFirstChannel);
    said->add_values()->set_value(std::string(1000, 'v'));
  }
  for (int i = 0; i < 100; ++i) trail_.Report(*family_, flood);
  AuditEvent own;
  own.set_kind(AuditEvent::REVOKED);
  trail_.Record(*family_, kFirstChannel, own);
  own.set_kind(AuditEvent::VIOLATION);
  trail_.Record(4, own);
  uint64_t allowed = 0;
  uint64_t left_out = 0;
  int others = 0;
  for (v1::ReadAuditResponse told = Read(); !told.events().empty(); told = Read()) {
    for (const AuditEvent& event : told.events()) {
      if (event.kind() == AuditEvent::ALLOWED) {
        ++allowed;
      } else if (event.kind() == AuditEvent::LEFT_OUT) {
        EXPECT_EQ(event.left_out(), AuditEvent::ALLOWED);
        left_out += event.count();
      } else {
        ++others;
      }
    }
  }
  EXPECT_EQ(others, 2);
  EXPECT_GT(left_out, 0u);
  EXPECT_EQ(allowed + left_out, 10'000u);
}

// TRUST(worker): many channels, kinds and long texts, so that what was left out is large itself.
TEST_F(AuditTrailTest, AnswerFitsIntoAMessageOfTheBroker) {
  for (int i = 0; i < 600; ++i) {
    transport::LanePair lane = *transport::MakeLane(transport::ClientDescriptors::kRefused);
    ASSERT_OK(family_->RegisterClone(kFirstChannel, nullptr, std::move(lane.service)));
    ASSERT_OK(family_->Forget(kFirstChannel + 1 + static_cast<uint64_t>(i)));
  }
  v1::ReportEventsRequest flood;
  for (uint64_t i = 0; i < 600; ++i) {
    AuditEvent* const said = flood.add_events();
    said->set_kind(AuditEvent::DENIED);
    said->set_channel(kFirstChannel + i);
    said->set_method(std::string(1000, 'm'));
    for (int value = 0; value < 8; ++value) said->add_values()->set_value(std::string(5000, 'v'));
  }
  for (int i = 0; i < 3; ++i) trail_.Report(*family_, flood);
  uint64_t events = 0;
  for (v1::ReadAuditResponse told = Read(); !told.events().empty(); told = Read()) {
    EXPECT_LT(told.ByteSizeLong(), 1u << 20);
    for (const AuditEvent& event : told.events()) {
      events += event.kind() == AuditEvent::LEFT_OUT ? event.count() : 1;
    }
  }
  EXPECT_EQ(events, 1800u);
}

TEST_F(AuditTrailTest, ReaderThatWaitsNoMoreTakesNothingAlong) {
  bool done = false;
  EXPECT_OK(
      trail_.Read(absl::Seconds(5), {.response = []() -> v1::ReadAuditResponse* { return nullptr; },
                                     .done = [&done] { done = true; }}));
  AuditEvent own;
  own.set_kind(AuditEvent::REVOKED);
  trail_.Record(*family_, kFirstChannel, own);
  EXPECT_FALSE(done);
  EXPECT_EQ(Read().events_size(), 1);
}

TEST_F(AuditTrailTest, HolderOfAChannelThatIsGoneIsStillKnown) {
  transport::LanePair lane = *transport::MakeLane(transport::ClientDescriptors::kRefused);
  ASSERT_OK_AND_ASSIGN(const ChannelRecord* clone,
                       family_->RegisterClone(kFirstChannel, nullptr, std::move(lane.service)));
  AuditEvent said;
  said.set_kind(AuditEvent::DENIED);
  said.set_channel(clone->id);
  ASSERT_OK(family_->Forget(clone->id));
  EXPECT_EQ(Told(said).events(0).worker(), 4u);
}

}  // namespace
}  // namespace capbroker::broker
