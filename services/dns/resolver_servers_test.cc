// Name servers that fail or lie, many lookups at once, cancellation, the end.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "services/dns/resolver_service.h"
#include "services/dns/testing/direct_call.h"
#include "services/dns/testing/resolver_fixture.h"
#include "services/hosts/ip_address.h"
#include "services/hosts/testing/dns_server.h"
#include "services/hosts/testing/scripted_dns_server.h"

namespace capbroker::dns {
namespace {

using ::capbroker::hosts::MakeRecord;
using ::capbroker::hosts::MakeReply;
using ::capbroker::hosts::RecordType;
using ::capbroker::hosts::ScriptedDnsServer;
using ::capbroker::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

using ResolverServersTest = ResolverFixture;

// --- Servers that fail.

TEST_F(ResolverServersTest, SaysUnavailableWhenTheServerFails) {
  ScriptedDnsServer server([](const ScriptedDnsServer::Query& query) {
    return MakeReply(query, 2);  // SERVFAIL
  });
  Write("resolv.conf", server.ResolvConf());
  const auto response = Resolve("a.test");
  EXPECT_THAT(response, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(std::string(response.status().message()), Not(HasSubstr("127.0.0.1")));
}

TEST_F(ResolverServersTest, SaysUnavailableWhenNobodyListens) {
  EXPECT_THAT(Resolve("a.test"), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(ResolverServersTest, SaysUnavailableWhenTheServerIsSilent) {
  ScriptedDnsServer server([](const ScriptedDnsServer::Query&) { return std::nullopt; });
  Write("resolv.conf", server.ResolvConf() + "options timeout:1 attempts:1\n");
  EXPECT_THAT(Resolve("a.test"), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(server.Queries(), SizeIs(2));
}

TEST_F(ResolverServersTest, AsksTheNextServerWhenTheFirstIsSilentAndRemembersIt) {
  ScriptedDnsServer silent([](const ScriptedDnsServer::Query&) { return std::nullopt; });
  DnsServer& server = Serve({"host-record=a.test,192.0.2.1", "host-record=b.test,192.0.2.2"});
  Write("resolv.conf", silent.ResolvConf() + server.ResolvConf() + "options timeout:1\n");
  ASSERT_OK_AND_ASSIGN(v1::ResolveResponse response, Resolve("a.test"));
  EXPECT_THAT(Addresses(response), ElementsAre("192.0.2.1"));
  EXPECT_THAT(silent.Queries(), SizeIs(2));
  ASSERT_OK_AND_ASSIGN(response, Resolve("b.test"));
  EXPECT_THAT(Addresses(response), ElementsAre("192.0.2.2"));
  EXPECT_THAT(silent.Queries(), SizeIs(2)) << "not asked again before the one that answers";
}

TEST_F(ResolverServersTest, AsksTheNextServerWhenTheFirstFails) {
  ScriptedDnsServer failing(
      [](const ScriptedDnsServer::Query& query) { return MakeReply(query, 2); });
  DnsServer& server = Serve({"host-record=a.test,192.0.2.1"});
  Write("resolv.conf",
        absl::StrCat("nameserver [127.0.0.1]:1\n", failing.ResolvConf(), server.ResolvConf()));
  const absl::Time start = absl::Now();
  ASSERT_OK_AND_ASSIGN(const v1::ResolveResponse response, Resolve("a.test"));
  EXPECT_THAT(Addresses(response), ElementsAre("192.0.2.1"));
  EXPECT_LT(absl::Now() - start, absl::Seconds(2)) << "no time-out is waited for";
}

TEST_F(ResolverServersTest, StopsSearchingWhenServerOfSearchDomainFails) {
  ScriptedDnsServer server([](const ScriptedDnsServer::Query& query) {
    const std::string address = std::string(IpAddress::Parse("192.0.2.1")->packed());
    if (query.name == "db.b.test" && query.type == static_cast<uint16_t>(RecordType::kA)) {
      return MakeReply(query, 0, {MakeRecord(RecordType::kA, 1, address)});
    }
    return MakeReply(query, query.name == "db.a.test" ? 2 : 3);
  });
  Write("resolv.conf", server.ResolvConf() + "search a.test b.test\n");
  EXPECT_THAT(Resolve("db"), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(ResolverServersTest, GivesTheOneFamilyWhenTheOtherFails) {
  ScriptedDnsServer server([](const ScriptedDnsServer::Query& query) {
    const std::string address = std::string(IpAddress::Parse("192.0.2.1")->packed());
    return query.type == static_cast<uint16_t>(RecordType::kA)
               ? MakeReply(query, 0, {MakeRecord(RecordType::kA, 1, address)})
               : MakeReply(query, 2);
  });
  Write("resolv.conf", server.ResolvConf());
  ASSERT_OK_AND_ASSIGN(const v1::ResolveResponse response, Resolve("a.test"));
  EXPECT_THAT(Addresses(response), ElementsAre("192.0.2.1"));
}

TEST_F(ResolverServersTest, TakesLargeAnswersOverTcp) {
  std::vector<std::string> records = {"edns-packet-max=512"};
  std::vector<std::string> expected;
  for (int i = 1; i <= 100; ++i) {
    expected.push_back(absl::StrCat("192.0.2.", i));
    records.push_back(absl::StrCat("host-record=many.test,192.0.2.", i));
  }
  DnsServer& server = Serve(records);
  ASSERT_OK_AND_ASSIGN(const v1::ResolveResponse response, Resolve("many.test"));
  EXPECT_THAT(Addresses(response), ::testing::UnorderedElementsAreArray(expected));
  EXPECT_THAT(server.Queries(), SizeIs(3)) << "A, AAAA, and A again over TCP";
}

TEST_F(ResolverServersTest, BoundsTheAddressesOfAnAnswer) {
  ScriptedDnsServer server([](const ScriptedDnsServer::Query& query) {
    if (!query.tcp) return MakeReply(query, 0, {}, /*truncated=*/true);
    std::vector<std::string> records;
    for (int i = 0; i < 2000; ++i) {
      const char address[] = {10, 0, static_cast<char>(i >> 8), static_cast<char>(i)};
      records.push_back(MakeRecord(RecordType::kA, 1, absl::string_view(address, 4)));
    }
    return MakeReply(query, 0, records);
  });
  Write("resolv.conf", server.ResolvConf());
  v1::ResolveRequest request;
  request.set_name("many.test");
  request.add_families(v1::ADDRESS_FAMILY_INET);
  ASSERT_OK_AND_ASSIGN(const v1::ResolveResponse response, Resolve(request));
  EXPECT_THAT(Addresses(response), SizeIs(256));
}

TEST_F(ResolverServersTest, DoesWithoutEdnsWhereTheServerKnowsNone) {
  ScriptedDnsServer server([](const ScriptedDnsServer::Query& query) {
    const bool edns = query.message[11] != 0;  // number of additional records
    const std::string address = std::string(IpAddress::Parse("192.0.2.1")->packed());
    if (edns) return MakeReply(query, 1);  // FORMERR
    return MakeReply(query, 0, {MakeRecord(RecordType::kA, 1, address)});
  });
  Write("resolv.conf", server.ResolvConf());
  v1::ResolveRequest request;
  request.set_name("a.test");
  request.add_families(v1::ADDRESS_FAMILY_INET);
  ASSERT_OK_AND_ASSIGN(const v1::ResolveResponse response, Resolve(request));
  EXPECT_THAT(Addresses(response), ElementsAre("192.0.2.1"));
}

// What a caller could write to a name server beside the names that its budget counts.
TEST_F(ResolverServersTest, LetterCaseOfTheCallerReachesNoServer) {
  ScriptedDnsServer server([](const ScriptedDnsServer::Query& query) {
    return query.tcp ? MakeReply(query, 3) : MakeReply(query, 0, {}, /*truncated=*/true);
  });
  Write("resolv.conf", server.ResolvConf() + "search corp.test\noptions ndots:3\n");
  for (const char* name : {"DaTa.A.Test", "dAtA.a.tEST", "DATA.A.TEST."}) {
    EXPECT_THAT(Resolve(name), StatusIs(absl::StatusCode::kNotFound)) << name;
  }
  const std::vector<ScriptedDnsServer::Query> queries = server.Queries();
  // Two families, over UDP and over TCP, and two names but for the one with a dot.
  EXPECT_THAT(queries, SizeIs(2 * 2 * 5));
  for (const ScriptedDnsServer::Query& query : queries) {
    EXPECT_THAT(query.asked, ::testing::AnyOf("data.a.test", "data.a.test.corp.test"));
  }
}

TEST_F(ResolverServersTest, LetterCaseOfTheCallerReachesNoRealServer) {
  DnsServer& server = Serve({"host-record=data.a.test,192.0.2.1"});
  for (const char* name : {"DaTa.A.Test", "dAtA.a.tEST"}) {
    ASSERT_OK_AND_ASSIGN(const v1::ResolveResponse response, Resolve(name));
    EXPECT_THAT(Addresses(response), ElementsAre("192.0.2.1"));
  }
  // dnsmasq logs what it is asked in the case that it was asked in.
  EXPECT_THAT(server.Queries(), SizeIs(4));
  EXPECT_THAT(server.Queries(), ::testing::Each(::testing::EndsWith(" data.a.test")));
}

TEST_F(ResolverServersTest, IgnoresRepliesToOtherQuestions) {
  ScriptedDnsServer server([](const ScriptedDnsServer::Query& query) -> std::optional<std::string> {
    const std::string forged = std::string(IpAddress::Parse("203.0.113.66")->packed());
    std::string reply = MakeReply(query, 0, {MakeRecord(RecordType::kA, 1, forged)});
    reply[0] = static_cast<char>(reply[0] ^ 0x55);  // another id
    return reply;
  });
  Write("resolv.conf", server.ResolvConf() + "options timeout:1 attempts:1\n");
  EXPECT_THAT(Resolve("a.test"), StatusIs(absl::StatusCode::kUnavailable));
}

// --- Many at once, cancellation, the end.

TEST_F(ResolverServersTest, SlowNameDelaysNoOther) {
  ScriptedDnsServer silent([](const ScriptedDnsServer::Query&) { return std::nullopt; });
  Serve({absl::StrCat("server=/slow.test/127.0.0.1#", silent.port()),
         "host-record=a.test,192.0.2.1"});
  v1::ResolveRequest slow;
  slow.set_name("a.slow.test");
  std::vector<std::unique_ptr<DirectCall<v1::ResolveResponse>>> calls;
  for (int i = 0; i < 50; ++i) {
    calls.push_back(std::make_unique<DirectCall<v1::ResolveResponse>>(LimitsOf(kEverything)));
    calls.back()->Start(service(), &ResolverService::Resolve, slow);
  }
  const absl::Time start = absl::Now();
  EXPECT_OK(Resolve("a.test"));
  EXPECT_LT(absl::Now() - start, absl::Seconds(2));
  for (const auto& call : calls) {
    EXPECT_FALSE(call->finished());
    call->Cancel();
    EXPECT_THAT(call->Wait(absl::Seconds(1)), StatusIs(absl::StatusCode::kCancelled));
  }
}

TEST_F(ResolverServersTest, BoundsTheLookupsInFlightAndFreesThoseCancelled) {
  ScriptedDnsServer silent([](const ScriptedDnsServer::Query&) { return std::nullopt; });
  Write("resolv.conf", silent.ResolvConf());
  ResolverOptions options = Options();
  options.hosts.max_lookups = 4;
  service_ = std::make_unique<ResolverService>(options);
  v1::ResolveRequest request;
  request.set_name("a.test");
  std::vector<std::unique_ptr<DirectCall<v1::ResolveResponse>>> calls;
  for (int i = 0; i < 4; ++i) {
    calls.push_back(std::make_unique<DirectCall<v1::ResolveResponse>>(LimitsOf(kEverything)));
    calls.back()->Start(service(), &ResolverService::Resolve, request);
  }
  EXPECT_THAT(Resolve("b.test"), StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_OK(Resolve("localhost")) << "needs nobody";
  for (const auto& call : calls) call->Cancel();
  calls.clear();
  // The thread lets go of them a moment later.
  DirectCall<v1::ResolveResponse> next(LimitsOf(kEverything));
  absl::SleepFor(absl::Milliseconds(200));
  next.Start(service(), &ResolverService::Resolve, request);
  EXPECT_FALSE(next.finished());
  next.Cancel();
}

TEST_F(ResolverServersTest, EndsLookupAfterItsTimeWhateverTheServerSays) {
  ScriptedDnsServer silent([](const ScriptedDnsServer::Query&) { return std::nullopt; });
  Write("resolv.conf", silent.ResolvConf() + "options timeout:30 attempts:5\n");
  ResolverOptions options = Options();
  options.hosts.timeout = absl::Milliseconds(300);
  service_ = std::make_unique<ResolverService>(options);
  const absl::Time start = absl::Now();
  EXPECT_THAT(Resolve("a.test"), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));
}

TEST_F(ResolverServersTest, CancelsCallThatWasAnsweredWithoutHarm) {
  DirectCall<v1::ResolveResponse> call(LimitsOf(kEverything));
  v1::ResolveRequest request;
  request.set_name("192.0.2.1");
  call.Start(service(), &ResolverService::Resolve, request);
  EXPECT_OK(call.Wait());
  call.Cancel();
  EXPECT_OK(call.Wait());
}

TEST_F(ResolverServersTest, EndsWithLookupsInFlight) {
  ScriptedDnsServer silent([](const ScriptedDnsServer::Query&) { return std::nullopt; });
  Write("resolv.conf", silent.ResolvConf());
  v1::ResolveRequest request;
  request.set_name("a.test");
  DirectCall<v1::ResolveResponse> call(LimitsOf(kEverything));
  call.Start(service(), &ResolverService::Resolve, request);
  service_.reset();
  EXPECT_FALSE(call.finished()) << "nobody is called back after the end";
  call.Cancel();
}

}  // namespace
}  // namespace capbroker::dns
