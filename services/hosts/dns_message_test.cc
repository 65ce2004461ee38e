#include "services/hosts/dns_message.h"

#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "services/hosts/testing/scripted_dns_server.h"

namespace capbroker::hosts {
namespace {

using ::capbroker::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::SizeIs;

std::string Packed(absl::string_view address) {
  return std::string(IpAddress::Parse(address)->packed());
}

// A reply to a question for `name`.
std::string Reply(const std::string& name, RecordType type, const std::vector<std::string>& records,
                  uint8_t rcode = 0) {
  ScriptedDnsServer::Query query;
  query.message = MakeDnsQuery(0x1234, name, type, 0);
  return MakeReply(query, rcode, records);
}

TEST(DnsMessageTest, MakesQueries) {
  const std::string query = MakeDnsQuery(0x1234, "a.test", RecordType::kAaaa, 1232);
  EXPECT_EQ(query, std::string("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01"
                               "\x01"
                               "a\x04test\x00\x00\x1c\x00\x01"
                               "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00",
                               35));
}

TEST(DnsMessageTest, ReadsAddresses) {
  ASSERT_OK_AND_ASSIGN(
      const DnsRecords records,
      ParseDnsAnswer(Reply("a.test", RecordType::kA,
                           {MakeRecord(RecordType::kA, 60, Packed("192.0.2.1")),
                            MakeRecord(RecordType::kA, 30, Packed("192.0.2.2"), "A.TEST"),
                            MakeRecord(RecordType::kA, 10, Packed("203.0.113.1"), "other.test"),
                            MakeRecord(RecordType::kAaaa, 10, Packed("2001:db8::1"))}),
                     "a.test", RecordType::kA));
  EXPECT_THAT(records.addresses,
              ElementsAre(*IpAddress::Parse("192.0.2.1"), *IpAddress::Parse("192.0.2.2")));
  EXPECT_EQ(records.ttl_seconds, 30u);
}

TEST(DnsMessageTest, FollowsAliasesInAnyOrder) {
  ASSERT_OK_AND_ASSIGN(
      const DnsRecords records,
      ParseDnsAnswer(Reply("a.test", RecordType::kA,
                           {MakeRecord(RecordType::kA, 60, Packed("192.0.2.1"), "c.test"),
                            MakeRecord(RecordType::kCname, 5, EncodeName("c.test"), "b.test"),
                            MakeRecord(RecordType::kCname, 90, EncodeName("b.test"), "a.test")}),
                     "a.test", RecordType::kA));
  EXPECT_EQ(records.canonical_name, "c.test");
  EXPECT_THAT(records.addresses, SizeIs(1));
  EXPECT_EQ(records.ttl_seconds, 5u);
}

TEST(DnsMessageTest, EndsWithAliasesThatDoNot) {
  const std::string reply =
      Reply("a.test", RecordType::kA,
            {MakeRecord(RecordType::kCname, 5, EncodeName("b.test"), "a.test"),
             MakeRecord(RecordType::kCname, 5, EncodeName("a.test"), "b.test")});
  EXPECT_THAT(ParseDnsAnswer(reply, "a.test", RecordType::kA),
              StatusIs(absl::StatusCode::kUnavailable));
}

TEST(DnsMessageTest, FollowsNoAliasThatIsNoHostName) {
  for (const std::string& target :
       {std::string("a b.test"), std::string("x\0y.test", 8), std::string("1.2.3.4")}) {
    const std::string reply =
        Reply("a.test", RecordType::kA, {MakeRecord(RecordType::kCname, 5, EncodeName(target))});
    EXPECT_THAT(ParseDnsAnswer(reply, "a.test", RecordType::kA),
                StatusIs(absl::StatusCode::kUnavailable));
  }
  // One label with a dot in it.
  const std::string reply =
      Reply("a.test", RecordType::kPtr,
            {MakeRecord(RecordType::kPtr, 5, std::string("\x08good.com\0", 10))});
  EXPECT_THAT(ParseDnsAnswer(reply, "a.test", RecordType::kPtr),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST(DnsMessageTest, TellsNothingFromFailure) {
  const auto parse = [](const std::string& reply) {
    return ParseDnsAnswer(reply, "a.test", RecordType::kA);
  };
  EXPECT_THAT(parse(Reply("a.test", RecordType::kA, {})), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(parse(Reply("a.test", RecordType::kA, {}, 3)), StatusIs(absl::StatusCode::kNotFound));
  for (uint8_t rcode : {1, 2, 4, 5}) {
    EXPECT_THAT(parse(Reply("a.test", RecordType::kA, {}, rcode)),
                StatusIs(absl::StatusCode::kUnavailable));
  }
  EXPECT_THAT(parse(""), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(parse(MakeDnsQuery(1, "a.test", RecordType::kA, 0)),
              StatusIs(absl::StatusCode::kUnavailable))
      << "a question is no answer";
}

TEST(DnsMessageTest, RefusesRecordsOfWrongLength) {
  for (size_t length : {0, 3, 5, 16}) {
    const std::string reply =
        Reply("a.test", RecordType::kA, {MakeRecord(RecordType::kA, 1, std::string(length, 'x'))});
    EXPECT_THAT(ParseDnsAnswer(reply, "a.test", RecordType::kA),
                StatusIs(absl::StatusCode::kUnavailable));
  }
}

TEST(DnsMessageTest, EndsWithCompressionPointersThatLoop) {
  // A name at byte 12 that points to itself, forward, or beyond the end.
  for (const char* pointer : {"\xc0\x0c", "\xc0\x0d", "\xc0\x20", "\xff\xff"}) {
    std::string message("\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00", 12);
    message += pointer;
    message += std::string(40, '\0');
    EXPECT_THAT(ParseDnsAnswer(message, "a.test", RecordType::kA),
                StatusIs(absl::StatusCode::kUnavailable));
  }
}

TEST(DnsMessageTest, CountsTimeToLiveWithTheHighestBitAsZero) {
  ASSERT_OK_AND_ASSIGN(
      const DnsRecords records,
      ParseDnsAnswer(Reply("a.test", RecordType::kA,
                           {MakeRecord(RecordType::kA, 0x80000001, Packed("192.0.2.1"))}),
                     "a.test", RecordType::kA));
  EXPECT_EQ(records.ttl_seconds, 0u);
}

// Cut and changed in every way: never a crash (run it with sanitizers), and never a
// name that is none.
TEST(DnsMessageTest, SurvivesDamagedMessages) {
  const std::string whole =
      Reply("a.test", RecordType::kPtr,
            {MakeRecord(RecordType::kCname, 5, EncodeName("b.test")),
             MakeRecord(RecordType::kPtr, 5, EncodeName("x.y.example"), "b.test"),
             MakeRecord(RecordType::kPtr, 5, std::string("\x01z\xc0\x0c", 4), "b.test")});
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_FALSE(ParseDnsAnswer(whole.substr(0, length), "a.test", RecordType::kPtr).ok());
  }
  std::mt19937 random(1);
  for (int i = 0; i < 30'000; ++i) {
    std::string damaged = whole;
    for (int changes = 0; changes < 1 + i % 4; ++changes) {
      damaged[random() % damaged.size()] = static_cast<char>(random());
    }
    const auto records = ParseDnsAnswer(damaged, "a.test", RecordType::kPtr);
    if (!records.ok()) continue;
    for (const std::string& name : records->names) {
      EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_."),
                std::string::npos)
          << name;
    }
  }
}

}  // namespace
}  // namespace capbroker::hosts
