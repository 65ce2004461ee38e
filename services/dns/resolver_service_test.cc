#include "services/dns/resolver_service.h"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "services/dns/testing/resolver_fixture.h"
#include "services/hosts/ip_address.h"
#include "services/hosts/testing/dns_server.h"
#include "services/hosts/testing/scripted_dns_server.h"

namespace capbroker::dns {
namespace {

using ::capbroker::hosts::EncodeName;
using ::capbroker::hosts::MakeRecord;
using ::capbroker::hosts::MakeReply;
using ::capbroker::hosts::RecordType;
using ::capbroker::hosts::ScriptedDnsServer;
using ::capbroker::testing::StatusIs;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

using ResolverServiceTest = ResolverFixture;

TEST_F(ResolverServiceTest, ResolvesNameToAllItsAddresses) {
  Serve({"host-record=a.test,192.0.2.1,2001:db8::1,300", "host-record=a.test,192.0.2.2,300"});
  ASSERT_OK_AND_ASSIGN(const v1::ResolveResponse response, Resolve("a.test"));
  EXPECT_THAT(Addresses(response), UnorderedElementsAre("192.0.2.1", "192.0.2.2", "2001:db8::1"));
  EXPECT_EQ(response.ttl_seconds(), 300u);
  EXPECT_EQ(response.canonical_name(), "");
  EXPECT_EQ(response.endpoints(0).port(), 0u);
}

TEST_F(ResolverServiceTest, AsksOnlyForTheFamiliesThatAreWanted) {
  DnsServer& server = Serve({"host-record=a.test,192.0.2.1,2001:db8::1"});
  v1::ResolveRequest request;
  request.set_name("a.test");
  request.add_families(v1::ADDRESS_FAMILY_INET);
  ASSERT_OK_AND_ASSIGN(const v1::ResolveResponse response, Resolve(request));
  EXPECT_THAT(Addresses(response), ElementsAre("192.0.2.1"));
  EXPECT_THAT(server.Queries(), ElementsAre("A a.test"));
}

TEST_F(ResolverServiceTest, AsksOnlyForTheFamiliesOfTheLimits) {
  DnsServer& server = Serve({"host-record=a.test,192.0.2.1,2001:db8::1"});
  ASSERT_OK_AND_ASSIGN(const v1::ResolveResponse response,
                       Resolve("a.test", R"(names: "*" families: ADDRESS_FAMILY_INET6
                                            address_ranges: ["0.0.0.0/0", "::/0"])"));
  EXPECT_THAT(Addresses(response), ElementsAre("2001:db8::1"));
  EXPECT_THAT(server.Queries(), ElementsAre("AAAA a.test"));
}

TEST_F(ResolverServiceTest, TellsThatNameDoesNotExist) {
  Serve({"host-record=a.test,192.0.2.1"});
  EXPECT_THAT(Resolve("missing.test"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("\"missing.test\"")));
}

TEST_F(ResolverServiceTest, TellsThatNameHasNoAddressOfTheFamily) {
  Serve({"host-record=a.test,192.0.2.1"});
  v1::ResolveRequest request;
  request.set_name("a.test");
  request.add_families(v1::ADDRESS_FAMILY_INET6);
  EXPECT_THAT(Resolve(request), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ResolverServiceTest, FollowsAliasesToTheCanonicalName) {
  Serve({"host-record=c.test,192.0.2.3,600", "cname=b.test,c.test,60", "cname=a.test,b.test,500"});
  v1::ResolveRequest request;
  request.set_name("A.Test");
  request.set_canonical_name(true);
  ASSERT_OK_AND_ASSIGN(const v1::ResolveResponse response, Resolve(request));
  EXPECT_THAT(Addresses(response), ElementsAre("192.0.2.3"));
  EXPECT_EQ(response.canonical_name(), "c.test");
  EXPECT_EQ(response.ttl_seconds(), 60u) << "the alias in the middle expires first";
}

TEST_F(ResolverServiceTest, ResolvesNameWithFinalDotAndOtherCase) {
  DnsServer& server =
      Serve({"host-record=a.test,192.0.2.1"}, "search corp.test\noptions ndots:5\n");
  ASSERT_OK_AND_ASSIGN(const v1::ResolveResponse response, Resolve("A.TEST."));
  EXPECT_THAT(Addresses(response), ElementsAre("192.0.2.1"));
  EXPECT_THAT(server.Queries(), UnorderedElementsAre("A a.test", "AAAA a.test"))
      << "no search domain is added";
}

// --- What the limits do to answers.

TEST_F(ResolverServiceTest, LeavesOutAddressesOutsideTheRanges) {
  Serve({"host-record=a.test,192.0.2.1,2001:db8::1", "host-record=a.test,10.0.0.1"});
  ASSERT_OK_AND_ASSIGN(
      const v1::ResolveResponse response,
      Resolve("a.test", R"(names: "a.test" families: [ADDRESS_FAMILY_INET, ADDRESS_FAMILY_INET6]
                           address_ranges: "192.0.2.0/24")"));
  EXPECT_THAT(Addresses(response), ElementsAre("192.0.2.1"));
}

TEST_F(ResolverServiceTest, ObjectCheckedAfterLookRefusesRebindingName) {
  Serve({"host-record=rebind.test,127.0.0.1,10.1.2.3"});
  const auto response = Resolve("rebind.test", R"(names: "*" families: ADDRESS_FAMILY_INET
                                address_ranges: ["192.0.2.0/24", "::/0"])");
  EXPECT_THAT(response, StatusIs(absl::StatusCode::kPermissionDenied, "address_ranges"));
}

TEST_F(ResolverServiceTest, RefusesPrivateAddressWrittenAsMappedAddress) {
  ScriptedDnsServer server([](const ScriptedDnsServer::Query& query) {
    const IpAddress mapped = *IpAddress::Parse("::ffff:10.0.0.1");
    return query.type == static_cast<uint16_t>(RecordType::kAaaa)
               ? MakeReply(query, 0, {MakeRecord(RecordType::kAaaa, 1, mapped.packed())})
               : MakeReply(query, 0);
  });
  Write("resolv.conf", server.ResolvConf());
  EXPECT_THAT(Resolve("a.test", R"(names: "*" families: ADDRESS_FAMILY_INET6
                                   address_ranges: ["192.0.2.0/24", "::/0"])"),
              StatusIs(absl::StatusCode::kPermissionDenied, "address_ranges"));
  EXPECT_OK(Resolve("a.test"));
}

TEST_F(ResolverServiceTest, RefusesNumericAddressOutsideTheRanges) {
  const std::string limits = R"(names: "*" families: ADDRESS_FAMILY_INET
                                address_ranges: "192.0.2.0/24")";
  EXPECT_OK(Resolve("192.0.2.7", limits));
  EXPECT_THAT(Resolve("127.0.0.1", limits),
              StatusIs(absl::StatusCode::kPermissionDenied, "address_ranges"));
}

TEST_F(ResolverServiceTest, RefusesAddressOfHostsFileOutsideTheRanges) {
  Write("hosts", "10.0.0.1 internal\n");
  EXPECT_OK(Resolve("internal"));
  EXPECT_THAT(Resolve("internal", R"(names: "*" families: ADDRESS_FAMILY_INET
                                     address_ranges: "192.0.2.0/24")"),
              StatusIs(absl::StatusCode::kPermissionDenied, "address_ranges"));
}

TEST_F(ResolverServiceTest, LimitsWithoutFamilyAllowNoAddress) {
  EXPECT_THAT(Resolve("192.0.2.1", R"(names: "*" address_ranges: "0.0.0.0/0")"),
              StatusIs(absl::StatusCode::kNotFound));
}

// --- Names that are no names.

TEST_F(ResolverServiceTest, RefusesTextsThatAreNoNames) {
  DnsServer& server = Serve({"host-record=a.test,192.0.2.1"});
  for (const std::string& text :
       {std::string(""), std::string("."), std::string("a..test"), std::string(".test"),
        std::string("a test"), std::string("a\0.test", 7), std::string("a.test\0", 7),
        std::string("-a.test"), std::string("a/b.test"), std::string("\xc3\xa4.test"),
        std::string("a\\.test"), std::string(64, 'a') + ".test", std::string("*.test"),
        std::string("[::1]"), std::string("::1%"), std::string("fe80::1%nosuchinterface"),
        std::string("1.2.3.4.5")}) {
    EXPECT_THAT(Resolve(text), StatusIs(absl::StatusCode::kInvalidArgument)) << text;
  }
  EXPECT_THAT(server.Queries(), IsEmpty());
}

TEST_F(ResolverServiceTest, RefusesTheAddressesThatOnlyInetAtonReads) {
  DnsServer& server = Serve({});
  for (const char* text : {"127.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001",
                           "127.0.0.01", "1.2.3.4.", "a.0x7f", "a.1", "0x"}) {
    EXPECT_THAT(Resolve(text), StatusIs(absl::StatusCode::kInvalidArgument)) << text;
  }
  EXPECT_THAT(server.Queries(), IsEmpty());
}

TEST_F(ResolverServiceTest, EscapesAndCutsThePeersTextInMessages) {
  const auto response = Resolve(std::string("\n\x1b[31m") + std::string(200, 'x'));
  EXPECT_THAT(response, StatusIs(absl::StatusCode::kInvalidArgument, Not(HasSubstr("\n"))));
  EXPECT_LT(response.status().message().size(), 200u);
}

// --- Numbers, services.

TEST_F(ResolverServiceTest, ResolvesNumericAddresses) {
  ASSERT_OK_AND_ASSIGN(v1::ResolveResponse response, Resolve("192.0.2.1"));
  EXPECT_THAT(Addresses(response), ElementsAre("192.0.2.1"));
  ASSERT_OK_AND_ASSIGN(response, Resolve("2001:DB8:0::1"));
  EXPECT_THAT(Addresses(response), ElementsAre("2001:db8::1"));
  ASSERT_OK_AND_ASSIGN(response, Resolve("fe80::1%1"));
  EXPECT_THAT(Addresses(response), ElementsAre("fe80::1%1"));
  ASSERT_OK_AND_ASSIGN(response, Resolve("fe80::1%lo"));
  EXPECT_THAT(Addresses(response), ElementsAre("fe80::1%1"));
}

TEST_F(ResolverServiceTest, RefusesNamesWhereNumberIsWanted) {
  Write("hosts", "192.0.2.1 a\n");
  v1::ResolveRequest request;
  request.set_numeric_only(true);
  request.set_name("a");
  EXPECT_THAT(Resolve(request), StatusIs(absl::StatusCode::kInvalidArgument));
  request.set_name("192.0.2.1");
  EXPECT_OK(Resolve(request));
}

TEST_F(ResolverServiceTest, GivesThePortOfService) {
  v1::ResolveRequest request;
  request.set_name("192.0.2.1");
  for (const auto& [service, port] : std::vector<std::pair<std::string, uint32_t>>{
           {"https", 443}, {"www-ssl", 443}, {"tftp", 69}, {"8080", 8080}, {"0", 0}}) {
    request.set_service(service);
    ASSERT_OK_AND_ASSIGN(const v1::ResolveResponse response, Resolve(request));
    EXPECT_EQ(response.endpoints(0).port(), port) << service;
  }
  request.set_service("65536");
  EXPECT_THAT(Resolve(request), StatusIs(absl::StatusCode::kInvalidArgument));
  request.set_service("nosuch");
  EXPECT_THAT(Resolve(request), StatusIs(absl::StatusCode::kNotFound));
}

// --- Files.

TEST_F(ResolverServiceTest, PrefersTheHostsFileAndReadsItAgainWhenItChanges) {
  DnsServer& server = Serve({"host-record=a.test,192.0.2.1"});
  Write("hosts", "192.0.2.55 canonical.test a.test # comment\n192.0.2.56 A.TEST\n");
  v1::ResolveRequest request;
  request.set_name("a.test");
  request.set_canonical_name(true);
  ASSERT_OK_AND_ASSIGN(v1::ResolveResponse response, Resolve(request));
  EXPECT_THAT(Addresses(response), ElementsAre("192.0.2.55", "192.0.2.56"));
  EXPECT_EQ(response.canonical_name(), "canonical.test");
  EXPECT_EQ(response.ttl_seconds(), 0u);
  EXPECT_THAT(server.Queries(), IsEmpty());
  Write("hosts", "192.0.2.77 a.test\n");
  ASSERT_OK_AND_ASSIGN(response, Resolve("a.test"));
  EXPECT_THAT(Addresses(response), ElementsAre("192.0.2.77"));
  std::filesystem::remove(folder_ + "/hosts");
  ASSERT_OK_AND_ASSIGN(response, Resolve("a.test"));
  EXPECT_THAT(Addresses(response), ElementsAre("192.0.2.1"));
}

TEST_F(ResolverServiceTest, GivesEachAddressOnceAndBoundsTheirNumber) {
  std::string hosts = "192.0.2.1 a.test\n192.0.2.1 a.test alias.test\n";
  for (int i = 0; i < 300; ++i) {
    absl::StrAppend(&hosts, "10.0.", i / 200, ".", i % 200, " many.test\n");
  }
  Write("hosts", hosts);
  ASSERT_OK_AND_ASSIGN(v1::ResolveResponse response, Resolve("a.test"));
  EXPECT_THAT(Addresses(response), ElementsAre("192.0.2.1"));
  ASSERT_OK_AND_ASSIGN(response, Resolve("many.test"));
  EXPECT_THAT(Addresses(response), SizeIs(256));
}

TEST_F(ResolverServiceTest, HonoursTheOrderAndTheActionsOfNsswitch) {
  DnsServer& server = Serve({"host-record=a.test,192.0.2.1"});
  Write("hosts", "192.0.2.55 a.test\n");
  Write("nsswitch.conf", "hosts: dns files\n");
  ASSERT_OK_AND_ASSIGN(v1::ResolveResponse response, Resolve("a.test"));
  EXPECT_THAT(Addresses(response), ElementsAre("192.0.2.1"));
  Write("nsswitch.conf", "hosts: files [NOTFOUND=return] dns\n");
  const size_t queries = server.Queries().size();
  EXPECT_THAT(Resolve("b.test"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(server.Queries(), SizeIs(queries));
  Write("nsswitch.conf", "hosts: files\n");
  EXPECT_THAT(Resolve("b.test"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(server.Queries(), SizeIs(queries));
}

TEST_F(ResolverServiceTest, NeverAsksServerForLocalhostAndNamesWithoutServer) {
  DnsServer& server = Serve({"host-record=localhost,192.0.2.1", "address=/localhost/192.0.2.1",
                             "address=/onion/192.0.2.1"},
                            "search test\n");
  Write("hosts", "192.0.2.9 localhost\n");
  for (const char* name : {"localhost", "a.LocalHost", "localhost."}) {
    ASSERT_OK_AND_ASSIGN(const v1::ResolveResponse response, Resolve(name));
    EXPECT_THAT(Addresses(response), UnorderedElementsAre("127.0.0.1", "::1"));
  }
  EXPECT_THAT(Resolve("abcdef.onion."), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Resolve("a.invalid."), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(server.Queries(), IsEmpty());
}

// --- Search domains.

TEST_F(ResolverServiceTest, FindsShortNameInSearchDomains) {
  DnsServer& server = Serve({"host-record=db.b.test,192.0.2.1"}, "search a.test b.test\n");
  v1::ResolveRequest request;
  request.set_name("db");
  request.set_canonical_name(true);
  request.add_families(v1::ADDRESS_FAMILY_INET);
  ASSERT_OK_AND_ASSIGN(const v1::ResolveResponse response, Resolve(request));
  EXPECT_THAT(Addresses(response), ElementsAre("192.0.2.1"));
  EXPECT_EQ(response.canonical_name(), "db.b.test");
  EXPECT_THAT(server.Queries(), ElementsAre("A db.a.test", "A db.b.test"));
}

TEST_F(ResolverServiceTest, NameCheckedBeforeLookDoesNotTrySearchDomainOutsideTheLimits) {
  DnsServer& server = Serve({"host-record=db.a.test,192.0.2.9", "host-record=db.b.test,192.0.2.1"},
                            "search a.test b.test\n");
  ASSERT_OK_AND_ASSIGN(const v1::ResolveResponse response,
                       Resolve("db", R"(names: ["db", "db.b.test"] families: ADDRESS_FAMILY_INET
                                        address_ranges: "0.0.0.0/0")"));
  EXPECT_THAT(Addresses(response), ElementsAre("192.0.2.1"));
  EXPECT_THAT(server.Queries(), ElementsAre("A db.b.test"));
}

TEST_F(ResolverServiceTest, TriesNameWithDotsAsItIsFirst) {
  DnsServer& server = Serve({"host-record=x.y.a.test,192.0.2.1"}, "search a.test\n");
  v1::ResolveRequest request;
  request.set_name("x.y");
  request.add_families(v1::ADDRESS_FAMILY_INET);
  // A server that has no business with "x.y" refuses, which is no answer.
  EXPECT_THAT(Resolve(request), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(server.Queries(), Each(std::string("A x.y")));
  Write("resolv.conf", server.ResolvConf() + "search a.test\noptions ndots:2\n");
  ASSERT_OK_AND_ASSIGN(const v1::ResolveResponse response, Resolve(request));
  EXPECT_THAT(Addresses(response), ElementsAre("192.0.2.1"));
}

// --- Reverse.

TEST_F(ResolverServiceTest, FindsTheNamesOfAddress) {
  Serve({"ptr-record=1.2.0.192.in-addr.arpa,a.test",
         "ptr-record=1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa,"
         "six.test"});
  ASSERT_OK_AND_ASSIGN(v1::ReverseResolveResponse response, ReverseResolve("192.0.2.1"));
  EXPECT_THAT(response.names(), ElementsAre("a.test"));
  ASSERT_OK_AND_ASSIGN(response, ReverseResolve("2001:db8::1"));
  EXPECT_THAT(response.names(), ElementsAre("six.test"));
  ASSERT_OK_AND_ASSIGN(response, ReverseResolve("::ffff:192.0.2.1"));
  EXPECT_THAT(response.names(), ElementsAre("a.test"));
  EXPECT_THAT(ReverseResolve("192.0.2.2"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ResolverServiceTest, FindsTheNamesOfAddressInTheHostsFile) {
  Write("hosts", "192.0.2.1 a.test b\n192.0.2.1 c.test\n");
  ASSERT_OK_AND_ASSIGN(const v1::ReverseResolveResponse response, ReverseResolve("192.0.2.1"));
  EXPECT_THAT(response.names(), ElementsAre("a.test", "c.test", "b"));
}

TEST_F(ResolverServiceTest, LeavesOutNamesOutsideTheLimits) {
  Write("hosts", "192.0.2.1 secret.test a.test\n192.0.2.2 secret.test\n");
  const std::string limits = R"(names: "a.test" address_ranges: "0.0.0.0/0")";
  ASSERT_OK_AND_ASSIGN(const v1::ReverseResolveResponse response,
                       ReverseResolve("192.0.2.1", limits));
  EXPECT_THAT(response.names(), ElementsAre("a.test"));
  EXPECT_THAT(ReverseResolve("192.0.2.2", limits),
              StatusIs(absl::StatusCode::kPermissionDenied, "names"));
}

TEST_F(ResolverServiceTest, BoundsTheNamesOfAnswerBySizeOfResponse) {
  std::string hosts;
  for (int i = 0; i < 300; ++i) {
    const std::string label(60, 'a');
    absl::StrAppend(&hosts, "192.0.2.1 n", i, ".", label, ".", label, ".", label, ".test\n");
  }
  Write("hosts", hosts);
  ASSERT_OK_AND_ASSIGN(const v1::ReverseResolveResponse response, ReverseResolve("192.0.2.1"));
  EXPECT_THAT(response.names(), SizeIs(128));
  EXPECT_LT(response.ByteSizeLong(), 65536u);
}

TEST_F(ResolverServiceTest, DoesNotPassOnNamesThatAreNone) {
  ScriptedDnsServer server([](const ScriptedDnsServer::Query& query) {
    return MakeReply(query, 0,
                     {MakeRecord(RecordType::kPtr, 1, EncodeName("a\n;rm -rf.test")),
                      MakeRecord(RecordType::kPtr, 1, EncodeName(std::string("b\0c.test", 8))),
                      MakeRecord(RecordType::kPtr, 1, EncodeName("good.test"))});
  });
  Write("resolv.conf", server.ResolvConf());
  ASSERT_OK_AND_ASSIGN(const v1::ReverseResolveResponse response, ReverseResolve("192.0.2.1"));
  EXPECT_THAT(response.names(), ElementsAre("good.test"));
}

TEST_F(ResolverServiceTest, RefusesAddressOfOtherLength) {
  for (size_t length : {0, 3, 5, 15}) {
    v1::ReverseResolveRequest request;
    request.set_address(std::string(length, 'x'));
    DirectCall<v1::ReverseResolveResponse> call(LimitsOf(kEverything));
    call.Start(service(), &ResolverService::ReverseResolve, request);
    EXPECT_THAT(call.Wait(), StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

}  // namespace
}  // namespace capbroker::dns
