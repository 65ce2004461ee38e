#include "client/parse_limits.h"

#include <string>

#include "base/status_matchers.h"
#include "capbroker/dns/v1/resolver.pb.h"
#include "capbroker/file/v1/file_opener.pb.h"
#include "capbroker/group/v1/group_database.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace capbroker {
namespace {

using dns::v1::ResolverLimits;
using file::v1::FileOpenerLimits;
using group::v1::GroupDatabaseLimits;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing::StatusIs;

TEST(ParseLimitsTest, GivesTheLimitsThatTheTextSays) {
  ASSERT_OK_AND_ASSIGN(const ResolverLimits limits,
                       ParseLimits<ResolverLimits>("names: '*.debian.org'  # with a comment\n"
                                                   "directions: [DIRECTION_FORWARD]"));
  EXPECT_EQ(limits.names_size(), 1);
  EXPECT_EQ(limits.names(0), "*.debian.org");
  EXPECT_EQ(limits.directions(0), dns::v1::DIRECTION_FORWARD);
  // empty-grants-nothing: no text is no authority, and no error.
  ASSERT_OK_AND_ASSIGN(const ResolverLimits none, ParseLimits<ResolverLimits>(""));
  EXPECT_EQ(none.ByteSizeLong(), 0u);
}

template <typename Limits>
void ExpectError(const std::string& text, const std::string& start, const std::string& reason) {
  const absl::Status parsed = ParseLimits<Limits>(text).status();
  EXPECT_THAT(parsed, StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(std::string(parsed.message()), StartsWith(start)) << text;
  EXPECT_THAT(std::string(parsed.message()), HasSubstr(reason)) << text;
}

TEST(ParseLimitsTest, SaysWhereTheTextIsMalformed) {
  ExpectError<ResolverLimits>("names: 'a'\n  nmaes: 'b'", "2:8: nmaes: ", "no field named");
  ExpectError<ResolverLimits>("names: 7", "1:8: names: ", "xpected string");
  ExpectError<ResolverLimits>("names: 'a'\ndirections: DIRECTION_SIDEWAYS",
                              "2:", "DIRECTION_SIDEWAYS");
  ExpectError<ResolverLimits>("names: 'a'\ndirections: DIRECTION_SIDEWAYS",
                              "2:31: directions: ", "DIRECTION_SIDEWAYS");
  ExpectError<ResolverLimits>("names: ['a', ", "1:", "xpected string");
  ExpectError<ResolverLimits>("names 'a'", "1:", "xpected");
  ExpectError<FileOpenerLimits>("paths: '/a'\nmax_size: -1", "2:11: max_size: ", "integer");
}

TEST(ParseLimitsTest, SaysWhichValueTheServiceWouldRefuse) {
  ExpectError<ResolverLimits>("names: 'a.b'\nnames: 'a..b'", "2:1: names: ", "a..b");
  ExpectError<ResolverLimits>("names: 'a.b'\n\n  address_ranges: ['10.0.0.0/8', '10.0.0.0/33']",
                              "3:3: address_ranges: ", "10.0.0.0/33");
  ExpectError<ResolverLimits>("directions: DIRECTION_UNSPECIFIED",
                              "1:1: directions: ", "grants nothing");
  ExpectError<FileOpenerLimits>("paths: '/a/'\npaths: 'b'", "2:1: paths: ", "b");
  ExpectError<GroupDatabaseLimits>("group_ids: ['7', '08']", "1:1: group_ids: ", "08");
}

TEST(ParseLimitsTest, OfWhatIsTooMuchSaysWhy) {
  std::string text;
  for (int i = 0; i < 100'001; ++i) text += "directions: DIRECTION_FORWARD\n";
  ExpectError<ResolverLimits>(text, "100001:1: directions: ", "more than 100000");
}

TEST(ParseLimitsTest, OfAMessageWithoutAServiceChecksTheTextAlone) {
  EXPECT_OK(ParseLimits<dns::v1::ResolveRequest>("name: 'a..b'"));
  ExpectError<dns::v1::ResolveRequest>("nam: 'a'", "1:4: nam: ", "no field named");
}

}  // namespace
}  // namespace capbroker
