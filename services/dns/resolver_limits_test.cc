#include "services/dns/resolver_limits.h"

#include <string>
#include <vector>

#include "authority/cidr_set.h"
#include "authority/limits.h"
#include "authority/schema.h"
#include "base/status_matchers.h"

namespace capbroker::dns {
namespace {

using ::testing::ElementsAre;

const authority::ServiceSchema& Schema() {
  static const authority::ServiceSchema& schema =
      *authority::ServiceSchema::Compile(
           *v1::ResolveRequest::descriptor()->file()->FindServiceByName("Resolver"))
           ->release();
  return schema;
}

bool Allows(const v1::ResolverLimits& limits, const std::string& method,
            const google::protobuf::Message& request) {
  auto compiled = authority::Limits::Compile(Schema(), limits);
  EXPECT_OK(compiled);
  return !(*compiled)->Check(*Schema().FindMethod(method), request).has_value();
}

v1::ResolveRequest Ask(const std::string& name) {
  v1::ResolveRequest request;
  request.set_name(name);
  return request;
}

TEST(ResolverLimitsTest, AllowsGrantedNames) {
  const v1::ResolverLimits limits = LimitsForNames({"example.org", "*.example.org"});
  EXPECT_TRUE(Allows(limits, "Resolve", Ask("example.org")));
  EXPECT_TRUE(Allows(limits, "Resolve", Ask("WWW.Example.Org.")));
}

TEST(ResolverLimitsTest, DeniesOtherNames) {
  const v1::ResolverLimits limits = LimitsForNames({"example.org"});
  EXPECT_FALSE(Allows(limits, "Resolve", Ask("www.example.org")));
  EXPECT_FALSE(Allows(limits, "Resolve", Ask("example.org.evil.test")));
  EXPECT_FALSE(Allows(limits, "Resolve", Ask("192.0.2.1")));
  EXPECT_FALSE(Allows(limits, "Resolve", Ask("")));
}

TEST(ResolverLimitsTest, DeniesTheOtherDirection) {
  v1::ReverseResolveRequest reverse;
  reverse.set_address(std::string(4, '\1'));
  EXPECT_FALSE(Allows(LimitsForNames({"*"}), "ReverseResolve", reverse));
  EXPECT_FALSE(Allows(LimitsForAddresses({"0.0.0.0/0"}), "Resolve", Ask("example.org")));
  EXPECT_TRUE(Allows(LimitsForAddresses({"0.0.0.0/0"}), "ReverseResolve", reverse));
  EXPECT_FALSE(Allows(LimitsForAddresses({"10.0.0.0/8"}), "ReverseResolve", reverse));
  EXPECT_TRUE(Allows(LimitsForEveryHost(), "Resolve", Ask("example.org")));
  EXPECT_TRUE(Allows(LimitsForEveryHost(), "ReverseResolve", reverse));
}

TEST(ResolverLimitsTest, DeniesFamilyThatIsNotGranted) {
  v1::ResolveRequest request = Ask("example.org");
  request.add_families(v1::ADDRESS_FAMILY_INET6);
  EXPECT_TRUE(Allows(LimitsForNames({"*"}), "Resolve", request));
  EXPECT_FALSE(Allows(LimitsForNames({"*"}, {.v6 = false}), "Resolve", request));
}

TEST(ResolverLimitsTest, EmptyGrantsNothing) {
  EXPECT_FALSE(Allows(v1::ResolverLimits(), "Resolve", Ask("example.org")));
  EXPECT_FALSE(Allows(LimitsForNames({}), "Resolve", Ask("example.org")));
}

TEST(PublicAddressRangesTest, LeaveOutWhatIsNotPublic) {
  ASSERT_OK_AND_ASSIGN(const authority::CidrSet set,
                       authority::CidrSet::Make(PublicAddressRanges()));
  for (const char* address : {"0.0.0.0",
                              "10.1.2.3",
                              "100.64.0.1",
                              "100.127.255.255",
                              "127.0.0.1",
                              "169.254.169.254",
                              "172.16.0.1",
                              "172.31.255.255",
                              "192.0.0.8",
                              "192.0.2.1",
                              "192.88.99.1",
                              "192.168.1.1",
                              "198.18.0.1",
                              "198.19.255.255",
                              "198.51.100.1",
                              "203.0.113.1",
                              "224.0.0.1",
                              "239.1.1.1",
                              "240.0.0.1",
                              "255.255.255.255",
                              "::",
                              "::1",
                              "::ffff:10.0.0.1",
                              "::10.0.0.1",
                              "64:ff9b::10.0.0.1",
                              "64:ff9b::127.0.0.1",
                              "64:ff9b:1::1",
                              "100::1",
                              "2001::1",
                              "2001:db8::1",
                              "2001:1ff::1",
                              "2002:0a00:0001::1",
                              "3fff::1",
                              "3ffe::1",
                              "5f00::1",
                              "fc00::1",
                              "fdff::1",
                              "fe80::1",
                              "fec0::1",
                              "ff02::1"}) {
    EXPECT_FALSE(set.ContainsText(address)) << address;
  }
}

TEST(PublicAddressRangesTest, KeepWhatIsPublic) {
  ASSERT_OK_AND_ASSIGN(const authority::CidrSet set,
                       authority::CidrSet::Make(PublicAddressRanges()));
  for (const char* address :
       {"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
        "172.15.255.255", "172.32.0.0", "192.0.1.0", "223.255.255.255", "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8", "2001:200::1", "2001:4860:4860::8888", "2606:4700:4700::1111",
        "2a00:1450::1", "3ffd:ffff::1"}) {
    EXPECT_TRUE(set.ContainsText(address)) << address;
  }
}

}  // namespace
}  // namespace capbroker::dns
