#include "services/hosts/address_order.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace capbroker::hosts {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

// Pairs of destination and source; no source: unreachable.
std::vector<std::string> Order(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::vector<Destination> destinations;
  for (const auto& [address, source] : pairs) {
    destinations.push_back({*IpAddress::Parse(address), IpAddress::Parse(source)});
  }
  std::vector<std::string> texts;
  for (const IpAddress& address : OrderDestinations(destinations)) {
    texts.push_back(address.ToText());
  }
  return texts;
}

// The examples of RFC 6724 section 10.2.
TEST(AddressOrderTest, OrdersTheExamplesOfTheRfc) {
  EXPECT_THAT(Order({{"2001:db8:1::1", "2001:db8:1::2"}, {"198.51.100.121", "169.254.13.78"}}),
              ElementsAre("2001:db8:1::1", "198.51.100.121"))
      << "prefer matching scope";
  EXPECT_THAT(Order({{"2001:db8:1::1", "fe80::1%1"}, {"198.51.100.121", "198.51.100.117"}}),
              ElementsAre("198.51.100.121", "2001:db8:1::1"))
      << "prefer matching scope";
  EXPECT_THAT(Order({{"10.1.2.3", "10.1.2.4"}, {"2001:db8:1::1", "2001:db8:1::2"}}),
              ElementsAre("2001:db8:1::1", "10.1.2.3"))
      << "prefer higher precedence";
  EXPECT_THAT(Order({{"2001:db8:1::1", "2001:db8:1::2"}, {"fe80::1%1", "fe80::2%1"}}),
              ElementsAre("fe80::1%1", "2001:db8:1::1"))
      << "prefer smaller scope";
  EXPECT_THAT(Order({{"2001:db8:1::1", "2001:db8:1::2"}, {"2001:db8:3ffe::1", "2001:db8:3f44::2"}}),
              ElementsAre("2001:db8:1::1", "2001:db8:3ffe::1"))
      << "longest matching prefix";
  EXPECT_THAT(
      Order({{"2001:db8:1::1", "2002:c633:6401::2"}, {"2002:c633:6401::1", "2002:c633:6401::2"}}),
      ElementsAre("2002:c633:6401::1", "2001:db8:1::1"))
      << "prefer matching label";
  EXPECT_THAT(
      Order({{"2002:c633:6401::1", "2002:c633:6401::2"}, {"2001:db8:1::1", "2001:db8:1::2"}}),
      ElementsAre("2001:db8:1::1", "2002:c633:6401::1"))
      << "prefer higher precedence";
}

TEST(AddressOrderTest, PutsUnreachableAddressesLast) {
  EXPECT_THAT(Order({{"2001:db8::1", ""}, {"192.0.2.1", "192.0.2.2"}}),
              ElementsAre("192.0.2.1", "2001:db8::1"));
}

TEST(AddressOrderTest, PrefersTheOldProtocolToUniqueLocalAddressesFromGlobalOnes) {
  EXPECT_THAT(Order({{"fd00::1", "2001:db8::2"}, {"192.0.2.1", "192.0.2.2"}}),
              ElementsAre("192.0.2.1", "fd00::1"));
}

TEST(AddressOrderTest, KeepsTheOrderOfTheAnswerAmongEquals) {
  EXPECT_THAT(
      Order(
          {{"192.0.2.9", "192.0.2.2"}, {"198.51.100.1", "192.0.2.2"}, {"192.0.2.3", "192.0.2.2"}}),
      ElementsAre("192.0.2.9", "198.51.100.1", "192.0.2.3"));
  EXPECT_THAT(Order({{"2001:db8:0:0:1::1", "2001:db8::2"}, {"2001:db8::3", "2001:db8::2"}}),
              ElementsAre("2001:db8::1:0:0:1", "2001:db8::3"))
      << "bits beyond the subnet's do not count";
}

TEST(AddressOrderTest, AsksTheKernelForSources) {
  std::vector<IpAddress> addresses = {*IpAddress::Parse("2001:db8::1"),
                                      *IpAddress::Parse("127.0.0.1")};
  std::vector<std::string> texts;
  for (const IpAddress& address : OrderAddresses(addresses)) texts.push_back(address.ToText());
  EXPECT_THAT(texts, UnorderedElementsAre("127.0.0.1", "2001:db8::1"));
}

}  // namespace
}  // namespace capbroker::hosts
