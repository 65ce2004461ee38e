#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/pages/authority_page.h"
#include "tools/pages/service_page.h"
#include "tools/testing/proto_text.h"

namespace capbroker::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kShop[] = R"(
  syntax = "proto3";
  package t;
  import "capbroker/v1/authority.proto";

  // Sells things | all kinds.
  service Shop {
    option (capbroker.v1.authority) = {
      limits: "t.Limits" budget: "t.Budget" max_message_bytes: 1000
    };
    // Buys <one> thing.
    // Errors: NOT_FOUND: sold out.
    rpc Buy(BuyRequest) returns (BuyResponse) {
      option (capbroker.v1.needs) = {field: "colors" value: "red"};
    }
    rpc Greet(GreetRequest) returns (GreetResponse) {
      option (capbroker.v1.unlimited) = "harmless";
    }
  }
  message Limits {
    repeated string colors = 1 [(capbroker.v1.limit) = SET];
    repeated string names = 2 [(capbroker.v1.limit) = NAME_PATTERNS];  // of | things
  }
  message Budget {
    uint32 calls = 1 [(capbroker.v1.budget) = {kind: CALLS_PER_MINUTE default_value: 10}];
    uint32 seen = 2 [(capbroker.v1.budget) = {kind: DISTINCT_VALUES of: "names" default_value: 5}];
    uint32 open = 3 [(capbroker.v1.budget) = {kind: OPEN_DESCRIPTORS default_value: 4}];
    uint32 clones = 4 [(capbroker.v1.budget) = {kind: CLONES default_value: 3}];
    uint32 leases = 5 [(capbroker.v1.budget) = {kind: LEASES default_value: 2}];
  }
  message BuyRequest {
    repeated Item items = 1 [(capbroker.v1.unbounded) = "their fields are", (capbroker.v1.max_length) = 9];
    string note = 2 [(capbroker.v1.unbounded) = "a note", (capbroker.v1.max_length) = 32];
    capbroker.v1.Descriptor paper = 3 [(capbroker.v1.rights) = {kinds: PIPE kinds: MEMFD access: READ}];
  }
  message Item {
    // What it is called.
    string name = 1 [(capbroker.v1.bounded_by) = "names", (capbroker.v1.max_length) = 64];
    bytes forgotten = 2;
  }
  message BuyResponse {
    capbroker.v1.Descriptor receipt = 1 [(capbroker.v1.rights) = {kinds: REGULAR_FILE access: READ}];
    capbroker.v1.Descriptor clerk = 2 [(capbroker.v1.rights) = {kinds: STREAM_SOCKET access: READ_WRITE lease: SHUT_DOWN}];
  }
  message GreetRequest {}
  message GreetResponse {}
)";

TEST(ServicePageTest, SaysWhatACallerWantsToKnow) {
  const ProtoText shop(kShop);
  ASSERT_NE(shop.file(), nullptr);
  const std::string page = ServicePage({shop.file()});
  EXPECT_THAT(page, HasSubstr("# t.Shop\n\nSells things | all kinds.\n\n"));
  EXPECT_THAT(page, HasSubstr("A message is at most 1000 bytes."));
  EXPECT_THAT(page, HasSubstr("| `names` | repeated string | NAME_PATTERNS | of \\| things |"));
  EXPECT_THAT(page, HasSubstr("| `calls` | calls in a minute | 10 |"));
  EXPECT_THAT(page, HasSubstr("## Buy\n\n    rpc Buy(BuyRequest) returns (BuyResponse)\n\n"
                              "Buys &lt;one> thing.\n\nErrors: NOT_FOUND: sold out.\n\n"
                              "Needs `red` in `colors` of the limits.\n\n"));
  EXPECT_THAT(page, HasSubstr("| `items.name` | string | `names` (NAME_PATTERNS) | 64 bytes | "
                              "What it is called. |"));
  EXPECT_THAT(page,
              HasSubstr("| `items` | repeated Item | nothing: their fields are | 9 entries |"));
  EXPECT_THAT(page, HasSubstr("Takes `paper`: PIPE or MEMFD, READ.\n\n"));
  EXPECT_THAT(page,
              HasSubstr("Gives `receipt`: REGULAR_FILE, READ; `clerk`: STREAM_SOCKET, READ_WRITE, "
                        "leased: shut down with the channel.\n\n"));
  EXPECT_THAT(page,
              HasSubstr("Charges `calls` (calls in a minute), `seen` (different values checked "
                        "against `names`, ever), `open` (descriptors given in a minute), `leases` "
                        "(leased connections at a time).\n\n"));
}

TEST(ServicePageTest, SaysHowACallIsRefused) {
  const ProtoText shop(kShop);
  ASSERT_NE(shop.file(), nullptr);
  const std::string page = ServicePage({shop.file()});
  EXPECT_THAT(
      page,
      HasSubstr("| PERMISSION_DENIED | METHOD_NOT_ALLOWED | `colors` | `red` is not in it |"));
  EXPECT_THAT(
      page,
      HasSubstr(
          "| PERMISSION_DENIED | NOT_IN_LIMITS | `names` | `items.name` matches none of it |"));
  EXPECT_THAT(page, HasSubstr("| PERMISSION_DENIED | TOO_LONG | `note` | more than 32 bytes |"));
  EXPECT_THAT(page,
              HasSubstr("| RESOURCE_EXHAUSTED | BUDGET_EXHAUSTED | `seen` | it is used up |"));
  const std::string greet = page.substr(page.find("## Greet"));
  EXPECT_THAT(greet, HasSubstr("Needs no limit: harmless."));
  EXPECT_THAT(greet, HasSubstr("Charges `calls` (calls in a minute).\n"));
  EXPECT_THAT(greet, Not(HasSubstr("NOT_IN_LIMITS")));
}

TEST(AuthorityPageTest, HasARowForEveryCallAndField) {
  const ProtoText shop(kShop);
  ASSERT_NE(shop.file(), nullptr);
  const std::string page = AuthorityPage({shop.file()});
  EXPECT_THAT(
      page,
      HasSubstr(
          "| `Buy` | *the call* | `colors` has `red` | 1000 bytes | `calls` "
          "(CALLS_PER_MINUTE, 10 by default), `open` (OPEN_DESCRIPTORS, 4 by default), `leases` "
          "(LEASES, 2 by default) |"));
  EXPECT_THAT(page,
              HasSubstr("| `Buy` | `items.name` | `names` (NAME_PATTERNS) | 64 bytes | `seen` "
                        "(DISTINCT_VALUES, 5 by default) |"));
  EXPECT_THAT(page, HasSubstr("| `Buy` | `note` | nothing: a note | 32 bytes |"));
  EXPECT_THAT(page, HasSubstr("| `Buy` | `paper` | PIPE or MEMFD, READ |"));
  EXPECT_THAT(page,
              HasSubstr("| `Buy` | `items.forgotten` | **nothing, and no reason is given** |"));
  EXPECT_THAT(page, HasSubstr("| `Greet` | *the call* | nothing: harmless |"));
}

}  // namespace
}  // namespace capbroker::tools
