#include "authority/budget.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "capbroker/v1/capability.pb.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "tests/authority/every_kind.pb.h"

namespace capbroker::authority {
namespace {

using ::capbroker::testing::StatusIs;
using testing::v1::EveryKindBudget;
using testing::v1::NamedRequest;
using testing::v1::PlainRequest;
using testing::v1::ShapedRequest;

class BudgetTest : public ::testing::Test {
 protected:
  BudgetTest()
      : schema_(ServiceSchema::Compile(
                    *PlainRequest::descriptor()->file()->FindServiceByName("EveryKind"))
                    .value()) {}

  static EveryKindBudget Message(absl::string_view text) {
    EveryKindBudget message;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(std::string(text), &message));
    return message;
  }
  std::shared_ptr<Budget> Make(absl::string_view text) {
    return Budget::Create(*schema_, Message(text), [this] { return now_; }).value();
  }
  std::shared_ptr<Budget> Share(std::shared_ptr<Budget> parent, absl::string_view text) {
    return Budget::Share(std::move(parent), Message(text)).value();
  }
  const MethodSchema& Method(absl::string_view name) { return *schema_->FindMethod(name); }

  // The budget field that refuses, or "" when the call is charged.
  static std::string Answer(const std::optional<Refusal>& refusal) {
    if (!refusal.has_value()) return "";
    EXPECT_EQ(refusal->denial.reason(), v1::Denial::BUDGET_EXHAUSTED);
    return refusal->denial.field();
  }
  std::string Call(Budget& budget, absl::string_view name = "a") {
    NamedRequest request;
    request.set_name(std::string(name));
    return Answer(budget.ChargeCall(Method("Named"), request));
  }
  std::string Respond(Budget& budget, uint64_t bytes, uint64_t descriptors = 0) {
    return Answer(budget.ChargeResponse(Method("Named"), bytes, descriptors));
  }

  const std::unique_ptr<const ServiceSchema> schema_;
  absl::Duration now_ = absl::Hours(1);
};

constexpr absl::string_view kAmple =
    "calls_per_minute: 1000 distinct_names: 1000 "
    "distinct_ranges: 1000 response_bytes: 1000000 clones: 1000 "
    "descriptors: 1000 ";

// empty-grants-nothing
TEST_F(BudgetTest, AnUnsetFieldIsNothingToUseUp) {
  const auto budget = Make("");
  EXPECT_EQ(Call(*budget), "calls_per_minute");
  EXPECT_EQ(Respond(*budget, 1), "response_bytes");
  EXPECT_EQ(Respond(*budget, 0, 1), "descriptors");
  EXPECT_EQ(Respond(*budget, 0, 0), "");
  EXPECT_THAT(budget->ChargeClone(), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(Call(*Make("calls_per_minute: 1")), "distinct_names");
}

TEST_F(BudgetTest, CallsAreBoundedInAnySixtySeconds) {
  const auto budget = Make("calls_per_minute: 3 distinct_names: 1");
  EXPECT_EQ(Call(*budget), "");
  now_ += absl::Milliseconds(59'500);
  EXPECT_EQ(Call(*budget), "");
  EXPECT_EQ(Call(*budget), "");
  EXPECT_EQ(Call(*budget), "calls_per_minute");
  now_ += absl::Milliseconds(500);
  EXPECT_EQ(Call(*budget), "calls_per_minute");
  now_ += absl::Seconds(1);
  EXPECT_EQ(Call(*budget), "");
  EXPECT_EQ(Call(*budget), "calls_per_minute");
  EXPECT_EQ(budget->Left("calls_per_minute"), 0u);
  now_ += absl::Hours(1);
  EXPECT_EQ(budget->Left("calls_per_minute"), 3u);
}

TEST_F(BudgetTest, AClockThatGoesBackGivesNothingBack) {
  const auto budget = Make("calls_per_minute: 1 distinct_names: 1");
  EXPECT_EQ(Call(*budget), "");
  now_ -= absl::Minutes(30);
  EXPECT_EQ(Call(*budget), "calls_per_minute");
}

TEST_F(BudgetTest, DistinctValuesAreCountedOnce) {
  const auto budget = Make("calls_per_minute: 1000 distinct_names: 2");
  EXPECT_EQ(Call(*budget, "a.org"), "");
  EXPECT_EQ(Call(*budget, "A.ORG."), "");
  EXPECT_EQ(Call(*budget, "b.org"), "");
  EXPECT_EQ(Call(*budget, "c.org"), "distinct_names");
  EXPECT_EQ(Call(*budget, "b.org"), "");
  now_ += absl::Hours(1000);
  EXPECT_EQ(Call(*budget, "c.org"), "distinct_names") << "for the family's life";
}

TEST_F(BudgetTest, DistinctValuesOfOneRequestAreAllOrNothing) {
  const auto budget = Make("calls_per_minute: 1000 distinct_names: 2");
  ShapedRequest request;
  request.add_targets()->set_name("a");
  request.add_targets()->set_name("A");
  (*request.mutable_aliases())["b"] = "c";
  EXPECT_EQ(Answer(budget->ChargeCall(Method("Shaped"), request)), "distinct_names");
  EXPECT_EQ(budget->Left("distinct_names"), 2u);
  EXPECT_EQ(budget->Left("calls_per_minute"), 1000u);
  (*request.mutable_aliases())["b"] = "b";
  EXPECT_EQ(Answer(budget->ChargeCall(Method("Shaped"), request)), "");
  EXPECT_EQ(budget->Left("distinct_names"), 0u);
}

TEST_F(BudgetTest, OneAddressIsOneValueHoweverItIsWritten) {
  const auto budget = Make("calls_per_minute: 1000 distinct_names: 9 distinct_ranges: 1");
  PlainRequest request;
  request.set_address("192.0.2.1");
  request.set_packed_address(std::string("\300\000\002\001", 4));
  EXPECT_EQ(Answer(budget->ChargeCall(Method("Plain"), request)), "");
  request.set_address("::ffff:192.0.2.1");
  EXPECT_EQ(Answer(budget->ChargeCall(Method("Plain"), request)), "");
  request.set_address("192.0.2.2");
  EXPECT_EQ(Answer(budget->ChargeCall(Method("Plain"), request)), "distinct_ranges");
}

TEST_F(BudgetTest, MessagesOfAStreamChargeTheirValues) {
  const auto budget = Make("calls_per_minute: 1 distinct_names: 2");
  const MethodSchema& method = Method("Streamed");
  EXPECT_EQ(Answer(budget->ChargeStream(method)), "");
  NamedRequest request;
  for (const auto& [name, answer] : {std::pair("a", ""), std::pair("b", ""), std::pair("a", ""),
                                     std::pair("c", "distinct_names")}) {
    request.set_name(name);
    EXPECT_EQ(Answer(budget->ChargeStreamed(method, request)), answer) << name;
  }
  EXPECT_EQ(Answer(budget->ChargeStream(method)), "calls_per_minute");
}

TEST_F(BudgetTest, ResponseBytesAreCountedForLife) {
  const auto budget = Make("response_bytes: 100");
  EXPECT_EQ(Respond(*budget, 60), "");
  now_ += absl::Hours(1000);
  EXPECT_EQ(Respond(*budget, 41), "response_bytes");
  EXPECT_EQ(Respond(*budget, 40), "");
  EXPECT_EQ(Respond(*budget, 1), "response_bytes");
  EXPECT_EQ(Respond(*budget, ~uint64_t{0}), "response_bytes") << "does not wrap around";
}

TEST_F(BudgetTest, DescriptorsAreCountedByTheMinute) {
  const auto budget = Make("response_bytes: 100 descriptors: 2");
  EXPECT_EQ(Respond(*budget, 1, 2), "");
  EXPECT_EQ(Respond(*budget, 1, 1), "descriptors");
  EXPECT_EQ(budget->Left("response_bytes"), 99u) << "refused means not charged";
  now_ += absl::Seconds(61);
  EXPECT_EQ(Respond(*budget, 1, 2), "");
}

TEST_F(BudgetTest, AClonesRoomComesBackWhenItIsGone) {
  const auto budget = Make("clones: 2");
  absl::StatusOr<HeldCharge> first = budget->ChargeClone();
  ASSERT_OK(first);
  {
    ASSERT_OK_AND_ASSIGN(const HeldCharge second, budget->ChargeClone());
    const absl::StatusOr<HeldCharge> third = budget->ChargeClone();
    EXPECT_THAT(third, StatusIs(absl::StatusCode::kResourceExhausted));
    EXPECT_EQ(DenialOf(third.status())->field(), "clones");
  }
  EXPECT_EQ(budget->Left("clones"), 1u);
  HeldCharge moved = *std::move(first);
  EXPECT_EQ(budget->Left("clones"), 1u);
  moved = HeldCharge();
  EXPECT_EQ(budget->Left("clones"), 2u);
}

TEST_F(BudgetTest, ALeasesRoomComesBackWhenItIsGoneAndIsNoClones) {
  const auto budget = Make("clones: 1 leases: 1");
  const MethodSchema& method = schema_->methods()[0];
  absl::StatusOr<HeldCharge> lease = budget->ChargeLease(method);
  ASSERT_OK(lease);
  const absl::StatusOr<HeldCharge> second = budget->ChargeLease(method);
  EXPECT_THAT(second, StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(DenialOf(second.status())->field(), "leases");
  EXPECT_EQ(DenialOf(second.status())->method(), method.name());
  ASSERT_OK_AND_ASSIGN(HeldCharge clone, budget->ChargeClone());
  *lease = HeldCharge();
  EXPECT_EQ(budget->Left("leases"), 1u);
  EXPECT_EQ(budget->Left("clones"), 0u);
}

// clones-share-the-budget
TEST_F(BudgetTest, AShareIsChargedToTheWholeLineAboveIt) {
  const auto family = Make("calls_per_minute: 4 distinct_names: 10 clones: 3");
  const auto share = Share(family, "calls_per_minute: 3 distinct_names: 10 clones: 3");
  const auto part = Share(share, "calls_per_minute: 1000 distinct_names: 10 clones: 1");
  EXPECT_EQ(Call(*part), "");
  EXPECT_EQ(Call(*share), "");
  EXPECT_EQ(family->Left("calls_per_minute"), 2u);
  EXPECT_EQ(part->Left("calls_per_minute"), 1u);
  EXPECT_EQ(Call(*part), "");
  EXPECT_EQ(Call(*part), "calls_per_minute") << "of its parent";
  EXPECT_EQ(Call(*family), "");
  EXPECT_EQ(Call(*family), "calls_per_minute");

  ASSERT_OK_AND_ASSIGN(const HeldCharge clone, part->ChargeClone());
  EXPECT_THAT(part->ChargeClone(), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(family->Left("clones"), 2u);
}

// clones-share-the-budget
TEST_F(BudgetTest, ARefusedShareChargesNobody) {
  const auto family = Make("calls_per_minute: 10 distinct_names: 1");
  const auto share = Share(family, "calls_per_minute: 10 distinct_names: 10");
  EXPECT_EQ(Call(*share, "a"), "");
  EXPECT_EQ(Call(*share, "b"), "distinct_names");
  EXPECT_EQ(share->Left("calls_per_minute"), 9u);
  EXPECT_EQ(family->Left("calls_per_minute"), 9u);
}

// clones-share-the-budget
TEST_F(BudgetTest, SharesTogetherGetNoMoreThanTheFamily) {
  const auto family = Make(kAmple);
  std::vector<std::shared_ptr<Budget>> shares;
  for (int i = 0; i < 4; ++i) shares.push_back(Share(family, kAmple));
  std::atomic<int> charged = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int j = 0; j < 1000; ++j) charged += Call(*shares[i]).empty() ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(charged, 1000);
}

TEST_F(BudgetTest, MessagesThatAreNotUnderstoodAreRefused) {
  EveryKindBudget message = Message(kAmple);
  message.GetReflection()->MutableUnknownFields(&message)->AddVarint(1000, 1);
  EXPECT_THAT(Budget::Create(*schema_, message), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Budget::Create(*schema_, PlainRequest()),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Budget::Create(*schema_, Message("distinct_names: 100001")),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Budget::Share(Make(kAmple), PlainRequest()),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(BudgetTest, DefaultsComeFromTheProto) {
  const auto message = DefaultBudget(*schema_);
  ASSERT_NE(message, nullptr);
  const auto& budget = static_cast<const EveryKindBudget&>(*message);
  EXPECT_EQ(budget.calls_per_minute(), 10u);
  EXPECT_EQ(budget.response_bytes(), 1000u);
  EXPECT_EQ(Budget::CreateDefault(*schema_)->Left("clones"), 2u);
}

TEST_F(BudgetTest, AServiceWithoutABudgetStillBoundsItsClonesAndLeases) {
  ASSERT_OK_AND_ASSIGN(
      const auto schema,
      ServiceSchema::Compile(
          *capbroker::v1::NarrowRequest::descriptor()->file()->FindServiceByName("Capability")));
  EXPECT_EQ(DefaultBudget(*schema), nullptr);
  const auto budget = Budget::CreateDefault(*schema);
  std::vector<HeldCharge> clones;
  for (uint64_t i = 0; i < kClonesWithoutRule; ++i) {
    ASSERT_OK_AND_ASSIGN(HeldCharge clone, budget->ChargeClone());
    clones.push_back(std::move(clone));
  }
  EXPECT_THAT(budget->ChargeClone(), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(budget->Left("leases"), kLeasesWithoutRule);
  EXPECT_EQ(Answer(budget->ChargeCall(schema->methods()[0], capbroker::v1::DescribeRequest())), "");
}

// limits-never-widen: a crash gives nothing back.
TEST_F(BudgetTest, AfterACrashTheMinuteCountsWhatWasRecorded) {
  constexpr absl::string_view kTen = "calls_per_minute: 10 distinct_names: 10 descriptors: 10";
  const auto before = Make(kTen);
  for (int i = 0; i < 8; ++i) ASSERT_EQ(Call(*before), "");
  ASSERT_EQ(Respond(*before, 0, 9), "");
  const auto after = Make(kTen);
  ASSERT_OK(after->Restore(before->Snapshot()));
  EXPECT_EQ(after->Left("calls_per_minute"), 1u) << "one more than was used";
  EXPECT_EQ(Respond(*after, 0, 1), "descriptors");
  now_ += absl::Seconds(61);
  EXPECT_EQ(after->Left("calls_per_minute"), 10u);
  EXPECT_EQ(Respond(*after, 0, 10), "");
}

TEST_F(BudgetTest, OfTheMinuteTooASnapshotIsDueBeforeMoreIsUsedThanTheLastOneAdmits) {
  const auto budget = Make("calls_per_minute: 160 distinct_names: 1");
  ASSERT_EQ(Call(*budget), "");
  EXPECT_TRUE(budget->snapshot_due());
  budget->Recorded(budget->Snapshot());
  for (int i = 0; i < 10; ++i) ASSERT_EQ(Call(*budget), "");
  EXPECT_FALSE(budget->snapshot_due());
  ASSERT_EQ(Call(*budget), "");
  EXPECT_TRUE(budget->snapshot_due());
  // What lies further back makes no room: the record is of the last minute that was recorded.
  now_ += absl::Seconds(61);
  EXPECT_TRUE(budget->snapshot_due());
  budget->Recorded(budget->Snapshot());
  EXPECT_FALSE(budget->snapshot_due());
}

TEST_F(BudgetTest, AfterACrashWhatWasUsedStaysUsed) {
  const auto before = Make("calls_per_minute: 1000 distinct_names: 32 response_bytes: 160");
  ASSERT_EQ(Call(*before, "a"), "");
  ASSERT_EQ(Respond(*before, 50), "");
  const auto after = Make("calls_per_minute: 1000 distinct_names: 32 response_bytes: 160");
  ASSERT_OK(after->Restore(before->Snapshot()));
  now_ += absl::Seconds(61);
  EXPECT_EQ(after->Left("response_bytes"), 160u - 50 - 10);
  EXPECT_EQ(after->Left("distinct_names"), 32u - 1 - 2);
  EXPECT_EQ(Call(*after, "a"), "");
  EXPECT_EQ(after->Left("distinct_names"), 29u) << "a known value is not a new one";
  EXPECT_EQ(Call(*after, "b"), "");
  EXPECT_EQ(after->Left("distinct_names"), 28u);
}

TEST_F(BudgetTest, ASnapshotIsDueBeforeMoreIsUsedThanTheLastOneAdmits) {
  const auto budget = Make("response_bytes: 160");
  EXPECT_FALSE(budget->snapshot_due());
  ASSERT_EQ(Respond(*budget, 1), "");
  EXPECT_TRUE(budget->snapshot_due()) << "nothing is recorded yet";
  const BudgetUsage usage = budget->Snapshot();
  EXPECT_TRUE(budget->snapshot_due()) << "made, but not recorded";
  budget->Recorded(usage);
  EXPECT_FALSE(budget->snapshot_due());
  ASSERT_EQ(Respond(*budget, 10), "");
  EXPECT_FALSE(budget->snapshot_due());
  ASSERT_EQ(Respond(*budget, 1), "");
  EXPECT_TRUE(budget->snapshot_due());
}

// However often the process crashes, at whatever moment, the family never gets more
// than its budget.
TEST_F(BudgetTest, CrashesDoNotMultiplyTheBudget) {
  uint64_t answered = 0;
  BudgetUsage recorded;
  bool any = false;
  for (int crash = 0; crash < 1000; ++crash) {
    const auto budget = Make("response_bytes: 1000");
    if (any) {
      ASSERT_OK(budget->Restore(recorded));
    }
    for (int call = 0; call <= crash % 7; ++call) {
      if (!Respond(*budget, 1 + crash % 5).empty()) break;
      if (budget->snapshot_due()) {
        recorded = budget->Snapshot();
        any = true;
        budget->Recorded(recorded);
      }
      answered += 1 + crash % 5;
    }
  }
  EXPECT_LE(answered, 1000u);
  EXPECT_GT(answered, 0u);
}

TEST_F(BudgetTest, WhatASnapshotDoesNotTellCountsAsUsedUp) {
  const auto budget = Make(kAmple);
  ASSERT_OK(budget->Restore(BudgetUsage()));
  EXPECT_EQ(Respond(*budget, 1), "response_bytes");
  BudgetUsage unknown;
  unknown.fields.push_back({.name = "nothing", .used = 1, .values = {}});
  EXPECT_THAT(budget->Restore(unknown), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(BudgetTest, ASharesSnapshotIsItsOwnAndItsDueIsTheWholeLines) {
  const auto family = Make("response_bytes: 1600");
  const auto share = Share(family, "response_bytes: 16");
  ASSERT_EQ(Respond(*share, 1), "");
  share->Recorded(share->Snapshot());
  EXPECT_TRUE(share->snapshot_due()) << "the family's";
  family->Recorded(family->Snapshot());
  EXPECT_FALSE(share->snapshot_due());
  EXPECT_EQ(share->Snapshot().fields.size(), 5u) << "all but the clones";
}

}  // namespace
}  // namespace capbroker::authority
