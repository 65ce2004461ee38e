#include "authority/cidr_set.h"

#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace capbroker::authority {
namespace {

using ::capbroker::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

CidrSet Ranges(const std::vector<std::string>& ranges) { return CidrSet::Make(ranges).value(); }

std::string Packed(absl::string_view hex) { return absl::HexStringToBytes(hex); }

TEST(CidrSetTest, EmptyAllowsNothing) {
  EXPECT_FALSE(CidrSet().ContainsText("0.0.0.0"));
  EXPECT_FALSE(CidrSet().ContainsText("::"));
  EXPECT_FALSE(CidrSet().ContainsPacked(Packed("00000000")));
  EXPECT_TRUE(Ranges({}).empty());
}

TEST(CidrSetTest, AnAddressAllowsItselfAlone) {
  const CidrSet ranges = Ranges({"192.0.2.1", "2001:db8::1"});
  EXPECT_TRUE(ranges.ContainsText("192.0.2.1"));
  EXPECT_FALSE(ranges.ContainsText("192.0.2.0"));
  EXPECT_FALSE(ranges.ContainsText("192.0.2.2"));
  EXPECT_TRUE(ranges.ContainsText("2001:DB8:0::1"));
  EXPECT_FALSE(ranges.ContainsText("2001:db8::2"));
}

TEST(CidrSetTest, ARangeAllowsWhatItsPrefixSays) {
  const CidrSet ranges = Ranges({"192.0.2.0/24", "2001:db8::/33"});
  EXPECT_TRUE(ranges.ContainsText("192.0.2.0"));
  EXPECT_TRUE(ranges.ContainsText("192.0.2.255"));
  EXPECT_FALSE(ranges.ContainsText("192.0.1.255"));
  EXPECT_FALSE(ranges.ContainsText("192.0.3.0"));
  EXPECT_TRUE(ranges.ContainsText("2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"));
  EXPECT_FALSE(ranges.ContainsText("2001:db8:8000::"));
}

TEST(CidrSetTest, PackedAddressesAreTheSameAddresses) {
  const CidrSet ranges = Ranges({"192.0.2.0/24", "2001:db8::/32"});
  EXPECT_TRUE(ranges.ContainsPacked(Packed("c0000201")));
  EXPECT_FALSE(ranges.ContainsPacked(Packed("c0000301")));
  EXPECT_TRUE(ranges.ContainsPacked(Packed("20010db8000000000000000000000001")));
  EXPECT_FALSE(ranges.ContainsPacked(Packed("20010db9000000000000000000000001")));
  for (const char* hex : {"", "c0", "c00002", "c000020100", "20010db80000000000000000000000",
                          "20010db800000000000000000000000100"}) {
    EXPECT_FALSE(Ranges({"0.0.0.0/0", "::/0"}).ContainsPacked(Packed(hex))) << hex;
  }
}

TEST(CidrSetTest, AMappedAddressIsItsIpv4Address) {
  const CidrSet v4 = Ranges({"192.0.2.0/24"});
  EXPECT_TRUE(v4.ContainsText("::ffff:192.0.2.7"));
  EXPECT_TRUE(v4.ContainsPacked(Packed("00000000000000000000ffffc0000207")));
  EXPECT_FALSE(v4.ContainsText("::ffff:192.0.3.7"));
  EXPECT_FALSE(v4.ContainsText("::192.0.2.7"));  // compatible, not mapped
  const CidrSet mapped = Ranges({"::ffff:192.0.2.0/120"});
  EXPECT_EQ(mapped, v4);
}

TEST(CidrSetTest, AllOfIpv6DoesNotAllowIpv4) {
  const CidrSet v6 = Ranges({"::/0"});
  EXPECT_TRUE(v6.ContainsText("2001:db8::1"));
  EXPECT_TRUE(v6.ContainsText("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
  EXPECT_FALSE(v6.ContainsText("192.0.2.1"));
  EXPECT_FALSE(v6.ContainsText("::ffff:192.0.2.1"));
  EXPECT_FALSE(Ranges({"::/80"}).ContainsText("::ffff:127.0.0.1"));
  EXPECT_FALSE(Ranges({"0.0.0.0/0"}).ContainsText("::1"));
}

TEST(CidrSetTest, DeniesWhatIsNoAddress) {
  const CidrSet all = Ranges({"0.0.0.0/0", "::/0"});
  for (const std::string& text :
       {std::string(""), std::string("192.0.2"), std::string("192.0.2.1 "), std::string("0x7f.1"),
        std::string("127.1"), std::string("192.0.2.0/24"), std::string("fe80::1%eth0"),
        std::string("192.0.2.01x"), std::string("127.0.0.1\0.example.org", 22),
        std::string(200, '1')}) {
    EXPECT_FALSE(all.ContainsText(text)) << text;
  }
}

TEST(CidrSetTest, MalformedRangesAreRefused) {
  for (const std::string& range :
       {std::string(""), std::string("a"), std::string("192.0.2.0/"), std::string("192.0.2.0/33"),
        std::string("192.0.2.0/-1"), std::string("192.0.2.0/+24"), std::string("192.0.2.0/024"),
        std::string("192.0.2.0/24/24"), std::string("192.0.2.1/24"), std::string("/24"),
        std::string("2001:db8::/129"), std::string("2001:db8::1/32"), std::string("::ffff:0:0/95"),
        std::string("*"), std::string("192.0.2.0/2\0", 12), std::string("::ffff:192.0.2.1/112")}) {
    EXPECT_THAT(CidrSet::Make({range}), StatusIs(absl::StatusCode::kInvalidArgument)) << range;
  }
}

TEST(CidrSetTest, HasOneCanonicalForm) {
  EXPECT_THAT(Ranges({"192.0.2.128/25", "192.0.2.0/25", "192.0.2.7", "10.0.0.0/8"}).Entries(),
              ElementsAre("10.0.0.0/8", "192.0.2.0/24"));
  EXPECT_THAT(Ranges({"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"}).Entries(),
              ElementsAre("10.0.0.1", "10.0.0.2/31", "10.0.0.4"));
  EXPECT_THAT(Ranges({"0.0.0.0/1", "128.0.0.0/1"}).Entries(), ElementsAre("0.0.0.0/0"));
  EXPECT_THAT(Ranges({"::/1", "8000::/1"}).Entries(), ElementsAre("::/0"));
  EXPECT_THAT(Ranges({"::1", "255.255.255.255", "0.0.0.0"}).Entries(),
              ElementsAre("0.0.0.0", "255.255.255.255", "::1"));
}

TEST(CidrSetTest, MeetIsWhatBothAllow) {
  EXPECT_THAT(
      Meet(Ranges({"10.0.0.0/8", "::/0"}), Ranges({"10.1.0.0/16", "192.0.2.1", "::1"})).Entries(),
      ElementsAre("10.1.0.0/16", "::1"));
  EXPECT_THAT(Meet(Ranges({"10.0.0.0/24"}), Ranges({"10.0.1.0/24"})).Entries(), IsEmpty());
  EXPECT_THAT(Meet(Ranges({"0.0.0.0/0"}), Ranges({"::/0"})).Entries(), IsEmpty());
}

}  // namespace
}  // namespace capbroker::authority
