#include "authority/limit_value.h"

#include <cstdint>
#include <limits>
#include <string>

#include "authority/schema.h"
#include "base/status_matchers.h"
#include "capbroker/v1/authority.pb.h"
#include "gtest/gtest.h"
#include "tests/authority/every_kind.pb.h"

namespace capbroker::authority {
namespace {

using ::capbroker::testing::StatusIs;
using testing::v1::EveryKindLimits;

LimitField Field(const char* name, v1::LimitKind kind) {
  return {.field = EveryKindLimits::descriptor()->FindFieldByName(name), .kind = kind};
}
RequestValue Signed(int64_t number) { return {.type = ValueType::kSigned, .number = number}; }
RequestValue Unsigned(uint64_t number) {
  return {.type = ValueType::kUnsigned, .number = static_cast<int64_t>(number)};
}
RequestValue Text(absl::string_view text) { return {.type = ValueType::kText, .text = text}; }

constexpr uint64_t kLargest = std::numeric_limits<uint64_t>::max();

TEST(LimitValueTest, NoMaximumAllowsANegativeValue) {
  EveryKindLimits limits;
  limits.set_size(kLargest);
  ASSERT_OK_AND_ASSIGN(const LimitValue value,
                       LimitValue::Read(Field("size", v1::MAXIMUM), limits));
  EXPECT_TRUE(value.Allows(Unsigned(kLargest)));
  EXPECT_TRUE(value.Allows(Signed(std::numeric_limits<int64_t>::max())));
  EXPECT_FALSE(value.Allows(Signed(-1)));
  EXPECT_FALSE(value.Allows(Signed(std::numeric_limits<int64_t>::min())));
}

TEST(LimitValueTest, ANegativeMaximumIsMalformed) {
  EveryKindLimits limits;
  limits.set_level(-1);
  EXPECT_THAT(LimitValue::Read(Field("level", v1::MAXIMUM), limits),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(LimitValueTest, NumbersBoundedByTextAreComparedAsTheyAreWritten) {
  EveryKindLimits limits;
  limits.add_id_texts("-1");
  limits.add_id_texts("18446744073709551614");
  ASSERT_OK_AND_ASSIGN(const LimitValue value,
                       LimitValue::Read(Field("id_texts", v1::SET), limits));
  EXPECT_TRUE(value.Allows(Signed(-1)));
  EXPECT_FALSE(value.Allows(Unsigned(kLargest))) << "the same bits";
  EXPECT_TRUE(value.Allows(Unsigned(kLargest - 1)));
  EXPECT_FALSE(value.Allows(Signed(-2))) << "the same bits";
}

TEST(LimitValueTest, WritesWhatItRead) {
  EveryKindLimits limits;
  limits.add_numbers(std::numeric_limits<int32_t>::min());
  limits.add_numbers(70);
  ASSERT_OK_AND_ASSIGN(const LimitValue value, LimitValue::Read(Field("numbers", v1::SET), limits));
  EveryKindLimits written;
  value.Write(Field("numbers", v1::SET), written);
  EXPECT_EQ(written.SerializeAsString(), limits.SerializeAsString());
}

TEST(LimitValueTest, MeetOfDifferentKindsAllowsNothing) {
  EveryKindLimits limits;
  limits.add_words("*");
  limits.add_names("*");
  ASSERT_OK_AND_ASSIGN(const LimitValue words, LimitValue::Read(Field("words", v1::SET), limits));
  ASSERT_OK_AND_ASSIGN(const LimitValue names,
                       LimitValue::Read(Field("names", v1::NAME_PATTERNS), limits));
  EXPECT_TRUE(words.Allows(Text("a")));
  EXPECT_FALSE(Meet(words, names).Allows(Text("a")));
  EXPECT_FALSE(Meet(names, words).Allows(Text("a")));
}

TEST(LimitValueTest, AnUnknownKindIsRefused) {
  EXPECT_THAT(LimitValue::Read(Field("words", static_cast<v1::LimitKind>(99)), EveryKindLimits()),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace capbroker::authority
