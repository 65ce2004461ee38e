#include "services/hosts/ip_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <optional>
#include <string>

#include "gtest/gtest.h"

namespace capbroker::hosts {
namespace {

std::string Normal(absl::string_view text) {
  const std::optional<IpAddress> address = IpAddress::Parse(text);
  return address.has_value() ? address->ToText() : "none";
}

TEST(IpAddressTest, ParsesTheUsualForms) {
  EXPECT_EQ(Normal("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(Normal("2001:DB8::0:1"), "2001:db8::1");
  EXPECT_EQ(Normal("::ffff:192.0.2.1"), "::ffff:192.0.2.1");
  EXPECT_EQ(Normal("fe80::1%7"), "fe80::1%7");
  EXPECT_EQ(Normal("ff02::fb%7"), "ff02::fb%7");
}

TEST(IpAddressTest, ParsesNoOtherForms) {
  for (const char* text :
       {"", "127.1", "0x7f.0.0.1", "127.0.0.01", "2130706433", "1.2.3.4.", " 1.2.3.4", "[::1]",
        "::1%1", "192.0.2.1%1", "fe80::1%", "fe80::1%eth0", "fe80::1%0", "fe80::1%01", "fe80::1%+1",
        "fe80::1%4294967296", "fe80::1%1%1", "1.2.3.4/8"}) {
    EXPECT_EQ(Normal(text), "none") << text;
  }
  EXPECT_EQ(Normal(std::string("1.2.3.4\0.evil", 13)), "none");
  EXPECT_EQ(Normal(std::string("fe80::1\0%1", 10)), "none");
}

TEST(IpAddressTest, TakesFourOrSixteenBytes) {
  EXPECT_TRUE(IpAddress::FromPacked(std::string(4, 'x')).has_value());
  EXPECT_TRUE(IpAddress::FromPacked(std::string(16, 'x')).has_value());
  for (size_t length : {0, 3, 5, 15, 17}) {
    EXPECT_FALSE(IpAddress::FromPacked(std::string(length, 'x')).has_value());
  }
}

TEST(IpAddressTest, UnmapsMappedAddressesOnly) {
  EXPECT_EQ(IpAddress::Parse("::ffff:192.0.2.1")->Unmapped().ToText(), "192.0.2.1");
  EXPECT_EQ(IpAddress::Parse("::192.0.2.1")->Unmapped().ToText(), "::192.0.2.1");
  EXPECT_EQ(IpAddress::Parse("192.0.2.1")->Unmapped().ToText(), "192.0.2.1");
}

TEST(IpAddressTest, MakesSocketAddresses) {
  const SocketAddress v4 = IpAddress::Parse("192.0.2.1")->WithPort(80);
  const auto* in = reinterpret_cast<const sockaddr_in*>(v4.get());
  EXPECT_EQ(v4.length, sizeof(sockaddr_in));
  EXPECT_EQ(in->sin_family, AF_INET);
  EXPECT_EQ(ntohs(in->sin_port), 80);
  EXPECT_EQ(ntohl(in->sin_addr.s_addr), 0xc0000201u);
  const SocketAddress v6 = IpAddress::Parse("fe80::1%3")->WithPort(443);
  const auto* in6 = reinterpret_cast<const sockaddr_in6*>(v6.get());
  EXPECT_EQ(v6.length, sizeof(sockaddr_in6));
  EXPECT_EQ(in6->sin6_family, AF_INET6);
  EXPECT_EQ(ntohs(in6->sin6_port), 443);
  EXPECT_EQ(in6->sin6_scope_id, 3u);
  EXPECT_EQ(in6->sin6_addr.s6_addr[15], 1);
}

}  // namespace
}  // namespace capbroker::hosts
