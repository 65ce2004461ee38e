// The parsers of hosts(5), resolv.conf(5), nsswitch.conf(5) and services(5).
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/dns/services_file.h"
#include "services/hosts/hosts_file.h"
#include "services/hosts/nsswitch.h"
#include "services/hosts/resolv_conf.h"

namespace capbroker::dns {
namespace {

using ::capbroker::hosts::HostsFile;
using ::capbroker::hosts::IpAddress;
using ::capbroker::hosts::kMaxNamesOfAddress;
using ::capbroker::hosts::ParseHostSources;
using ::capbroker::hosts::ResolvConf;
using ::capbroker::hosts::SourceOutcome;
using ::capbroker::hosts::SourceRule;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<std::string> Texts(const std::vector<IpAddress>& addresses) {
  std::vector<std::string> texts;
  for (const IpAddress& address : addresses) texts.push_back(address.ToText());
  return texts;
}

TEST(HostsFileTest, LeavesOutMalformedLines) {
  const HostsFile hosts = HostsFile::Parse(
      "# comment\n\n192.0.2.1\nno.address.test x\n127.1 short\n"
      "192.0.2.2\ta..b good.test\n192.0.2.3 good.test # other.test\r\n2001:db8::1 good.test");
  EXPECT_THAT(Texts(hosts.Find("good.test", true, true).addresses),
              ElementsAre("192.0.2.2", "192.0.2.3", "2001:db8::1"));
  EXPECT_THAT(Texts(hosts.Find("good.test", false, true).addresses), ElementsAre("2001:db8::1"));
  for (const char* name : {"x", "short", "other.test", "a..b", ""}) {
    EXPECT_THAT(hosts.Find(name, true, true).addresses, IsEmpty()) << name;
  }
}

TEST(HostsFileTest, NamesOfAddressAreCanonicalFirst) {
  const HostsFile hosts = HostsFile::Parse("192.0.2.1 a b\n192.0.2.1 c\n192.0.2.2 d\n");
  EXPECT_THAT(hosts.NamesOf(*IpAddress::Parse("192.0.2.1")), ElementsAre("a", "c", "b"));
  EXPECT_THAT(hosts.NamesOf(*IpAddress::Parse("192.0.2.9")), IsEmpty());
}

TEST(HostsFileTest, BoundsTheNamesOfAddress) {
  std::string text;
  for (int i = 0; i < 5000; ++i) absl::StrAppend(&text, "0.0.0.0 ad", i, ".test x", i, "\n");
  EXPECT_THAT(HostsFile::Parse(text).NamesOf(*IpAddress::Parse("0.0.0.0")),
              SizeIs(kMaxNamesOfAddress));
}

TEST(ResolvConfTest, ReadsServersSearchDomainsAndOptions) {
  const ResolvConf conf = ResolvConf::Parse(
      "; comment\nnameserver 192.0.2.1\nnameserver fe80::1%2\nnameserver [127.0.0.1]:5353\n"
      "nameserver 192.0.2.4\nsearch old.test\nsearch a.test B.Test. bad..test\n"
      "options ndots:2 timeout:99 attempts:0 rotate use-vc no-aaaa unknown ndots:x\n",
      "host.local.test");
  ASSERT_THAT(conf.servers, SizeIs(3)) << "as in the C library";
  EXPECT_EQ(conf.servers[0].address.ToText(), "192.0.2.1");
  EXPECT_EQ(conf.servers[0].port, 53);
  EXPECT_EQ(conf.servers[1].address.ToText(), "fe80::1%2");
  EXPECT_EQ(conf.servers[2].port, 5353);
  EXPECT_THAT(conf.search, ElementsAre("a.test", "b.test"));
  EXPECT_EQ(conf.ndots, 2);
  EXPECT_EQ(conf.timeout, absl::Seconds(30));
  EXPECT_EQ(conf.attempts, 2);
  EXPECT_TRUE(conf.rotate && conf.tcp_only && conf.no_aaaa);
}

TEST(ResolvConfTest, HasDefaultsOfTheCLibrary) {
  const ResolvConf conf = ResolvConf::Parse("nameserver not-an-address\n", "host.local.test");
  ASSERT_THAT(conf.servers, SizeIs(1));
  EXPECT_EQ(conf.servers[0].address.ToText(), "127.0.0.1");
  EXPECT_THAT(conf.search, ElementsAre("local.test"));
  EXPECT_EQ(conf.ndots, 1);
  EXPECT_THAT(ResolvConf::Parse("domain a.test b.test\n", "host.x").search, ElementsAre("a.test"));
  EXPECT_THAT(ResolvConf::Parse("search .\n", "host.x").search, IsEmpty());
  EXPECT_THAT(ResolvConf::Parse("", "host").search, IsEmpty());
}

TEST(ResolvConfTest, OrdersCandidatesByDots) {
  const ResolvConf conf = ResolvConf::Parse("search a.test b.test\noptions ndots:2\n", "");
  EXPECT_THAT(conf.Candidates("x.y", false), ElementsAre("x.y.a.test", "x.y.b.test", "x.y"));
  EXPECT_THAT(conf.Candidates("x.y.z", false),
              ElementsAre("x.y.z", "x.y.z.a.test", "x.y.z.b.test"));
  EXPECT_THAT(conf.Candidates("x.y", true), ElementsAre("x.y"));
  const std::string longest(250, 'a');
  EXPECT_THAT(conf.Candidates(longest, false), ElementsAre(longest)) << "no name is too long";
}

TEST(NsswitchTest, ReadsSourcesAndActions) {
  const std::vector<SourceRule> rules = ParseHostSources(
      "passwd: files\n"
      "hosts:\tfiles mdns4_minimal [NOTFOUND=return] resolve [!UNAVAIL=return] dns # end\n");
  ASSERT_THAT(rules, SizeIs(4));
  EXPECT_EQ(rules[0].source, "files");
  EXPECT_FALSE(rules[0].IsFinal(SourceOutcome::kNotFound));
  EXPECT_TRUE(rules[0].IsFinal(SourceOutcome::kSuccess));
  EXPECT_EQ(rules[1].source, "mdns4_minimal");
  EXPECT_TRUE(rules[1].IsFinal(SourceOutcome::kNotFound));
  EXPECT_FALSE(rules[1].IsFinal(SourceOutcome::kUnavailable));
  EXPECT_EQ(rules[2].source, "resolve");
  EXPECT_TRUE(rules[2].IsFinal(SourceOutcome::kNotFound));
  EXPECT_TRUE(rules[2].IsFinal(SourceOutcome::kTryAgain));
  EXPECT_FALSE(rules[2].IsFinal(SourceOutcome::kUnavailable));
  EXPECT_EQ(rules[3].source, "dns");
}

TEST(NsswitchTest, ReadsSeveralActionsAndOddSpacing) {
  const std::vector<SourceRule> rules =
      ParseHostSources("hosts:dns[tryagain=RETURN NotFound=Return ]files [oops\n");
  ASSERT_THAT(rules, SizeIs(2));
  EXPECT_TRUE(rules[0].IsFinal(SourceOutcome::kTryAgain));
  EXPECT_TRUE(rules[0].IsFinal(SourceOutcome::kNotFound));
  EXPECT_FALSE(rules[0].IsFinal(SourceOutcome::kUnavailable));
  EXPECT_EQ(rules[1].source, "files");
}

TEST(NsswitchTest, UsesFilesAndDnsByDefaultAndNoPathsAsModules) {
  for (const char* text : {"", "hosts:\n", "passwd: files\n", "hosts: ../evil a/b\n"}) {
    const std::vector<SourceRule> rules = ParseHostSources(text);
    ASSERT_THAT(rules, SizeIs(2)) << text;
    EXPECT_EQ(rules[0].source, "files");
    EXPECT_EQ(rules[1].source, "dns");
  }
}

TEST(ServicesFileTest, PrefersTcpAndKnowsAliases) {
  const ServicesFile services = ServicesFile::Parse(
      "# x 1/tcp\nsyslog 514/udp\nshell 514/tcp cmd syslog # no more\nbad 99999/tcp\n"
      "other 5/sctp\ndomain 53/udp\ndomain 53/tcp\nname\n");
  EXPECT_EQ(services.Find("shell"), 514);
  EXPECT_EQ(services.Find("cmd"), 514);
  EXPECT_EQ(services.Find("syslog"), 514);
  EXPECT_EQ(services.Find("domain"), 53);
  for (const char* name : {"x", "bad", "other", "name", "Shell", "no"}) {
    EXPECT_EQ(services.Find(name), std::nullopt) << name;
  }
}

}  // namespace
}  // namespace capbroker::dns
