// GoogleTest matchers for absl::Status and absl::StatusOr. There is none for
// "some error" on purpose: a test says which.
//
//   EXPECT_OK(channel.Close());
//   ASSERT_OK_AND_ASSIGN(UniqueFd file, Open(path));
//   EXPECT_THAT(Open(path), StatusIs(absl::StatusCode::kNotFound));
#ifndef BASE_STATUS_MATCHERS_H_
#define BASE_STATUS_MATCHERS_H_

#include <ostream>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/status_macros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace capbroker::testing {

inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

MATCHER_P(StatusIs, code, "has code " + absl::StatusCodeToString(code)) {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).code() == code;
}
MATCHER_P2(StatusIs, code, message_matcher,
           "has code " + absl::StatusCodeToString(code) + " and a matching message") {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).code() == code &&
         ::testing::Matches(message_matcher)(std::string(StatusOf(arg).message()));
}
MATCHER(IsOk, "is OK") {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).ok();
}
}  // namespace capbroker::testing

#define EXPECT_OK(expression) EXPECT_THAT((expression), ::capbroker::testing::IsOk())
#define ASSERT_OK(expression) ASSERT_THAT((expression), ::capbroker::testing::IsOk())
#define ASSERT_OK_AND_ASSIGN(declaration, expression) \
  ASSERT_OK_AND_ASSIGN_1_(CB_CONCAT_(cb_result_, __LINE__), declaration, expression)
#define ASSERT_OK_AND_ASSIGN_1_(result, declaration, expression) \
  auto result = (expression);                                    \
  ASSERT_OK(result);                                             \
  declaration = *std::move(result)

#endif  // BASE_STATUS_MATCHERS_H_
