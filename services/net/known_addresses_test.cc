#include "services/net/known_addresses.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace capbroker::net {
namespace {

using hosts::IpAddress;

bool Any(absl::string_view) { return true; }

TEST(KnownAddressesTest, KnowsAnAddressByTheNamesThatItWasGivenFor) {
  KnownAddresses known;
  const IpAddress address = *IpAddress::Parse("192.0.2.1");
  known.Remember(address, "a.test");
  known.Remember(address, "b.test");
  EXPECT_TRUE(known.Has(address, [](absl::string_view name) { return name == "b.test"; }));
  EXPECT_FALSE(known.Has(address, [](absl::string_view name) { return name == "c.test"; }));
  EXPECT_FALSE(known.Has(*IpAddress::Parse("192.0.2.2"), &Any));
}

TEST(KnownAddressesTest, ForgetsWhatItWasToldFirst) {
  KnownAddresses known;
  const IpAddress first = *IpAddress::Parse("198.51.100.1");
  known.Remember(first, "first.test");
  for (size_t i = 0; i < KnownAddresses::kMost - 1; ++i) {
    known.Remember(*IpAddress::Parse("192.0.2.1"), absl::StrCat(i, ".test"));
  }
  EXPECT_TRUE(known.Has(first, &Any));
  known.Remember(*IpAddress::Parse("192.0.2.1"), "last.test");
  EXPECT_FALSE(known.Has(first, &Any));
}

}  // namespace
}  // namespace capbroker::net
