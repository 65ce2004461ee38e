#include "serving/channel/channel_state.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "authority/limits.h"
#include "authority/schema.h"
#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "tests/authority/every_kind.pb.h"

namespace capbroker::serving {
namespace {

using authority::Limits;
using ::capbroker::testing::StatusIs;
using ::capbroker::testing::v1::EveryKindLimits;

class ChannelStateTest : public ::testing::Test {
 protected:
  std::shared_ptr<const Limits> Compile(const EveryKindLimits& limits) const {
    return Limits::Compile(*schema_, limits).value();
  }
  std::shared_ptr<const Limits> Words(const std::string& word) const {
    EveryKindLimits limits;
    limits.add_words(word);
    return Compile(limits);
  }

  const std::unique_ptr<const authority::ServiceSchema> schema_ =
      authority::ServiceSchema::Compile(
          *EveryKindLimits::descriptor()->file()->FindServiceByName("EveryKind"))
          .value();
};

// INVARIANT(limits-never-widen)
TEST_F(ChannelStateTest, InstallsTheMeetWhateverIsGiven) {
  ChannelState state(1, *schema_, Words("a"), nullptr, false, nullptr);
  EXPECT_OK(state.Install(*Words("*")));
  EXPECT_EQ(*state.limits(), *Words("a"));
  EXPECT_OK(state.Install(*Words("b")));
  EXPECT_EQ(*state.limits(), *Limits::Nothing(*schema_));
}

TEST_F(ChannelStateTest, RefusesLimitsThatGrowAndKeepsThoseInForce) {
  // Each side holds one directory that contains all the entries of the other.
  EveryKindLimits a;
  EveryKindLimits b;
  a.add_paths("/a/");
  b.add_paths("/b/");
  const std::string long_name(4000, 'x');
  for (int i = 0; i < 600; ++i) {
    a.add_paths(absl::StrCat("/b/", i, long_name));
    b.add_paths(absl::StrCat("/a/", i, long_name));
  }
  ChannelState state(1, *schema_, Compile(a), nullptr, false, nullptr);
  EXPECT_THAT(state.Install(*Compile(b)), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(*state.limits(), *Compile(a));
}

}  // namespace
}  // namespace capbroker::serving
