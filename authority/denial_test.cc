#include "authority/denial.h"

#include <string>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace capbroker::authority {
namespace {

using ::capbroker::testing::StatusIs;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(DenialTest, SaysWhatWasRefusedAndByWhat) {
  const absl::Status status =
      ToStatus(MakeRefusal(v1::Denial::NOT_IN_LIMITS, "names", "Resolve", "db.corp"));
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kPermissionDenied,
                               "resolve \"db.corp\": not in limits.names"));
}

TEST(DenialTest, EveryReasonIsPermissionDeniedExceptABudget) {
  for (int reason = v1::Denial::Reason_MIN; reason <= v1::Denial::Reason_MAX; ++reason) {
    const auto typed = static_cast<v1::Denial::Reason>(reason);
    const absl::Status status = ToStatus(MakeRefusal(typed, "field", "GetGroupByName"));
    EXPECT_EQ(status.code(), typed == v1::Denial::BUDGET_EXHAUSTED
                                 ? absl::StatusCode::kResourceExhausted
                                 : absl::StatusCode::kPermissionDenied);
    EXPECT_THAT(std::string(status.message()), HasSubstr("get group by name: "));
  }
}

TEST(DenialTest, EscapesAndCutsThePeersText) {
  const std::string hostile = "\x1b[2J\"\n" + std::string(1 << 20, 'x');
  const Refusal refusal = MakeRefusal(v1::Denial::NOT_IN_LIMITS, "names", "Resolve", hostile);
  EXPECT_LE(refusal.value.size(), kMostRefusedBytes + 1);
  const std::string message(ToStatus(refusal).message());
  EXPECT_LT(message.size(), 300u);
  EXPECT_THAT(message, HasSubstr("\\x1b[2J\\\"\\n"));
  EXPECT_THAT(message, HasSubstr("...\": not in limits.names"));
  EXPECT_THAT(message, Not(HasSubstr("\x1b")));
}

TEST(DenialTest, TheDenialTravelsInTheStatus) {
  const absl::Status status = ToStatus(MakeRefusal(v1::Denial::TOO_LONG, "name", "Resolve", "x"));
  const std::optional<v1::Denial> denial = DenialOf(status);
  ASSERT_TRUE(denial.has_value());
  EXPECT_EQ(denial->reason(), v1::Denial::TOO_LONG);
  EXPECT_EQ(denial->field(), "name");
  EXPECT_EQ(denial->method(), "Resolve");
  EXPECT_FALSE(DenialOf(absl::PermissionDeniedError("of another make")).has_value());
}

TEST(DenialTest, TheDenialTravelsInGrpcsDetails) {
  const absl::Status status =
      ToStatus(MakeRefusal(v1::Denial::BUDGET_EXHAUSTED, "queries_per_minute", "Resolve"));
  const std::string details = SerializeDetails(status);
  v1::RpcStatus parsed;
  ASSERT_TRUE(parsed.ParseFromString(details));
  EXPECT_EQ(parsed.code(), static_cast<int>(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(parsed.message(), status.message());
  const std::optional<v1::Denial> denial = DenialInDetails(details);
  ASSERT_TRUE(denial.has_value());
  EXPECT_EQ(denial->reason(), v1::Denial::BUDGET_EXHAUSTED);
  EXPECT_EQ(denial->field(), "queries_per_minute");
}

TEST(DenialTest, DetailsThatHoldNoDenialGiveNone) {
  EXPECT_EQ(SerializeDetails(absl::NotFoundError("no such name")), "");
  EXPECT_FALSE(DenialInDetails("").has_value());
  EXPECT_FALSE(DenialInDetails("\xff\xff\xff").has_value());
  v1::RpcStatus status;
  status.add_details()->PackFrom(v1::BudgetRule());
  EXPECT_FALSE(DenialInDetails(status.SerializeAsString()).has_value());
  google::protobuf::Any* const broken = status.add_details();
  broken->PackFrom(v1::Denial());
  broken->set_value("\xff");
  EXPECT_FALSE(DenialInDetails(status.SerializeAsString()).has_value());
}

}  // namespace
}  // namespace capbroker::authority
