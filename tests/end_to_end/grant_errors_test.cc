// What is wrong with a grant expression is said where it is opened: the field, the value, why.
#include <memory>
#include <string>

#include "base/status_matchers.h"
#include "client/broker.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/dns/grants.h"
#include "services/file/grants.h"
#include "services/group/grants.h"

namespace capbroker {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::StatusIs;

TEST(GrantErrorsTest, NameTheFieldTheValueAndTheReason) {
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start());
  group::v1::GroupDatabaseLimits octal;
  octal.add_group_ids("08");
  struct Mistake {
    Authority authority;
    std::string field;
    std::string value;
    std::string reason;
  };
  for (const Mistake& mistake :
       {Mistake{ResolveNames({"example.org", "a..b"}), "ResolverLimits.names", "\"a..b\"", "name"},
        Mistake{ReadOnlyFile("page.html"), "FileOpenerLimits.paths", "\"page.html\"", "path"},
        Mistake{ReadOnlyDirectory("/srv/../etc"), "FileOpenerLimits.paths", "/srv/../etc", "path"},
        Mistake{LookUpGroups(octal), "GroupDatabaseLimits.group_ids", "\"08\"", "decimal"}}) {
    const absl::Status opened = broker.Open(mistake.authority).status();
    EXPECT_THAT(opened, StatusIs(absl::StatusCode::kInvalidArgument));
    EXPECT_THAT(
        std::string(opened.message()),
        AllOf(HasSubstr(mistake.field), HasSubstr(mistake.value), HasSubstr(mistake.reason)));
  }
}

}  // namespace
}  // namespace capbroker
