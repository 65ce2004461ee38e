#include "services/hosts/host_name.h"

#include <string>

#include "base/status_matchers.h"

namespace capbroker::hosts {
namespace {

using ::capbroker::testing::StatusIs;

TEST(HostNameTest, NormalizesCaseAndFinalDot) {
  ASSERT_OK_AND_ASSIGN(HostName name, ParseHostName("Example.ORG."));
  EXPECT_EQ(name.text, "example.org");
  EXPECT_TRUE(name.absolute);
  ASSERT_OK_AND_ASSIGN(name, ParseHostName("_dmarc.xn--bcher-kva.example"));
  EXPECT_EQ(name.text, "_dmarc.xn--bcher-kva.example");
  EXPECT_FALSE(name.absolute);
}

TEST(HostNameTest, BoundsNameAndLabels) {
  const std::string label(63, 'a');
  const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'a');
  ASSERT_EQ(longest.size(), kMaxHostNameBytes);
  EXPECT_OK(ParseHostName(longest));
  EXPECT_OK(ParseHostName(longest + "."));
  EXPECT_THAT(ParseHostName(longest + "a"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseHostName(label + "a.test"), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(HostNameTest, IsNothingThatInetAtonReads) {
  EXPECT_FALSE(IsHostName("1"));
  EXPECT_FALSE(IsHostName("0x1F"));
  EXPECT_FALSE(IsHostName("0X"));
  EXPECT_FALSE(IsHostName("host.1"));
  EXPECT_TRUE(IsHostName("1.host"));
  EXPECT_TRUE(IsHostName("0x7g"));
  EXPECT_TRUE(IsHostName("1a"));
}

TEST(HostNameTest, KnowsTheNamesThatServersAreNotAsked) {
  EXPECT_TRUE(IsLocalhost("localhost"));
  EXPECT_TRUE(IsLocalhost("a.localhost"));
  EXPECT_FALSE(IsLocalhost("notlocalhost"));
  EXPECT_FALSE(IsLocalhost("localhost.test"));
  EXPECT_TRUE(IsNeverInDns("abc.onion"));
  EXPECT_TRUE(IsNeverInDns("invalid"));
  EXPECT_FALSE(IsNeverInDns("onion.test"));
  EXPECT_FALSE(IsNeverInDns("onionn"));
}

TEST(HostNameTest, MakesReverseNames) {
  EXPECT_EQ(ReverseName(*IpAddress::Parse("192.0.2.1")), "1.2.0.192.in-addr.arpa");
  EXPECT_EQ(ReverseName(*IpAddress::Parse("::ffff:192.0.2.1")), "1.2.0.192.in-addr.arpa");
  EXPECT_EQ(ReverseName(*IpAddress::Parse("2001:db8::ab")),
            "b.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
}

}  // namespace
}  // namespace capbroker::hosts
