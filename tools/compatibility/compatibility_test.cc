#include "tools/compatibility/compatibility.h"

#include <string>
#include <vector>

#include "absl/strings/str_replace.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/testing/proto_text.h"

namespace capbroker::tools {
namespace {

using google::protobuf::FileDescriptorSet;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// The recorded version; each case replaces a piece of it.
constexpr char kRecorded[] = R"(
  syntax = "proto3";
  package t;
  import "capbroker/v1/authority.proto";
  import "google/protobuf/timestamp.proto";

  service Shop {
    option (capbroker.v1.authority) = {
      limits: "t.Limits" budget: "t.Budget" max_message_bytes: 1000
    };
    rpc Buy(BuyRequest) returns (BuyResponse) {
      option (capbroker.v1.needs) = {field: "colors" value: "RED"};
    }
    rpc Watch(WatchRequest) returns (stream BuyResponse);
    rpc Greet(GreetRequest) returns (GreetResponse) {
      option (capbroker.v1.unlimited) = "harmless";
    }
  }
  enum Color { NO_COLOR = 0; RED = 1; BLUE = 2; }
  message Limits {
    repeated Color colors = 1 [(capbroker.v1.limit) = SET];
    repeated string names = 2 [(capbroker.v1.limit) = NAME_PATTERNS];
    uint32 amount = 3 [(capbroker.v1.limit) = MAXIMUM];
    uint32 bits = 4 [(capbroker.v1.limit) = FLAGS];
  }
  message Budget {
    uint32 calls = 1 [(capbroker.v1.budget) = {kind: CALLS_PER_MINUTE default_value: 10}];
    uint32 seen = 2 [(capbroker.v1.budget) = {kind: DISTINCT_VALUES of: "names" default_value: 5}];
  }
  message BuyRequest {
    reserved 9;
    reserved "old";
    string name = 1 [(capbroker.v1.bounded_by) = "names", (capbroker.v1.max_length) = 64];
    uint32 amount = 2 [(capbroker.v1.bounded_by) = "amount"];
    string note = 3 [(capbroker.v1.unbounded) = "a note", (capbroker.v1.max_length) = 32];
    oneof how { bool fast = 4 [(capbroker.v1.unbounded) = "x"]; bool slow = 5 [(capbroker.v1.unbounded) = "x"]; }
    capbroker.v1.Descriptor paper = 6 [(capbroker.v1.rights) = {kinds: PIPE access: READ append_only: true seals: 3 seekable: true max_size: 9 reduced: true}];
    Inner inner = 7 [(capbroker.v1.unbounded) = "its fields are bounded"];
  }
  message Inner { Color color = 1 [(capbroker.v1.bounded_by) = "colors"]; }
  message BuyResponse {
    uint32 price = 1; repeated string names = 2; google.protobuf.Timestamp at = 3;
    capbroker.v1.Descriptor clerk = 8 [(capbroker.v1.rights) = {kinds: STREAM_SOCKET lease: SHUT_DOWN}];
    capbroker.v1.Descriptor guard = 9 [(capbroker.v1.rights) = {kinds: STREAM_SOCKET}];
  }
  message WatchRequest { string name = 1 [(capbroker.v1.bounded_by) = "names", (capbroker.v1.max_length) = 64]; }
  message GreetRequest {}
  message GreetResponse {}
)";

// With everything that it imports, as protoc writes it.
FileDescriptorSet Compile(const std::string& proto) {
  const ProtoText compiled(proto);
  FileDescriptorSet set;
  if (compiled.file() == nullptr) return set;
  const auto* const file = compiled.file();
  for (int i = 0; i < file->dependency_count(); ++i) file->dependency(i)->CopyTo(set.add_file());
  file->CopyTo(set.add_file());
  return set;
}

FileDescriptorSet Image(const std::string& proto) {
  return ImageOf(Compile(proto), {"test.proto"});
}

struct Change {
  const char* name;
  const char* from;
  const char* to;
  // "" : nothing is found. Otherwise the one finding.
  const char* finding;
};

// Exactly one finding each: a rule that fires twice or for its neighbour is seen too.
constexpr Change kChanges[] = {
    // Additions and words.
    {"Nothing", "", "", ""},
    {"AddedField", "uint32 price = 1;", "uint32 price = 1; string currency = 4;", ""},
    {"AddedExemptField", "Inner inner = 7",
     "bool gift = 8 [(capbroker.v1.unbounded) = \"x\"]; Inner inner = 7", ""},
    {"AddedOptionalBoundedField", "Inner inner = 7",
     "optional Color color = 8 [(capbroker.v1.bounded_by) = \"colors\"]; Inner inner = 7", ""},
    {"AddedRepeatedBoundedField", "Inner inner = 7",
     "repeated Color color = 8 [(capbroker.v1.bounded_by) = \"colors\", (capbroker.v1.max_length) "
     "= "
     "3]; Inner inner = 7",
     ""},
    {"AddedFlags", "Inner inner = 7",
     "uint32 bits = 8 [(capbroker.v1.bounded_by) = \"bits\"]; Inner inner = 7", ""},
    {"AddedBoundedFieldOfEveryRequest", "Inner inner = 7",
     "Color color = 8 [(capbroker.v1.bounded_by) = \"colors\"]; Inner inner = 7",
     "t.BuyRequest.color: BREAKS: is new and bounded_by \"colors\": requests without it are "
     "refused; "
     "make it optional"},
    {"AddedMethod", "rpc Watch", "rpc Look(WatchRequest) returns (BuyResponse); rpc Watch", ""},
    {"AddedService", "enum Color", "service Other {} enum Color", ""},
    {"AddedEnumValue", "BLUE = 2;", "BLUE = 2; GREEN = 3;", ""},
    {"AddedMessage", "message GreetRequest {}", "message GreetRequest {} message New {}", ""},
    {"AddedLimit", "uint32 bits = 4",
     "uint32 size = 5 [(capbroker.v1.limit) = MAXIMUM]; uint32 bits = 4", ""},
    {"AddedBudget", "uint32 seen = 2",
     "uint32 clones = 3 [(capbroker.v1.budget) = {kind: CLONES default_value: 1}]; uint32 seen = 2",
     ""},
    {"OtherReason", "\"a note\"", "\"the caller's own words\"", ""},
    {"Comment", "message Inner", "// Inner, as it is.\n message Inner", ""},
    {"LessByDefault", "default_value: 10", "default_value: 9", ""},
    {"ReservedNumber", "reserved 9;", "reserved 8 to 10;", ""},

    // The schema.
    {"RemovedField", "uint32 price = 1;", "", "t.BuyResponse.price: BREAKS: was removed"},
    {"RemovedLimit", "uint32 bits = 4 [(capbroker.v1.limit) = FLAGS];", "",
     "t.Limits.bits: BREAKS: was removed"},
    {"RenamedField", "uint32 price = 1;", "uint32 cost = 1;",
     "t.BuyResponse.price: BREAKS: its number is now cost's"},
    {"RenumberedField", "uint32 price = 1;", "uint32 price = 11;",
     "t.BuyResponse.price: BREAKS: its number was 1 and is 11"},
    {"RetypedField", "uint32 price = 1;", "uint64 price = 1;",
     "t.BuyResponse.price: BREAKS: its type was UINT32 and is UINT64"},
    {"AnotherMessageType", "google.protobuf.Timestamp at", "Inner at",
     "t.BuyResponse.at: BREAKS: its type was google.protobuf.Timestamp and is t.Inner"},
    {"NotRepeated", "repeated string names = 2;", "string names = 2;",
     "t.BuyResponse.names: BREAKS: its cardinality was repeated and is single"},
    {"Optional", "uint32 price = 1;", "optional uint32 price = 1;",
     "t.BuyResponse.price: BREAKS: its cardinality was single and is optional"},
    {"OutOfOneof", "bool slow = 5 [(capbroker.v1.unbounded) = \"x\"]; }",
     "} bool slow = 5 [(capbroker.v1.unbounded) = \"x\"];",
     "t.BuyRequest.slow: BREAKS: its oneof was how and is none"},
    {"ReservedNumberGivenFree", "reserved 9;", "",
     "t.BuyRequest: BREAKS: number 9 is no longer reserved"},
    {"ReservedNameGivenFree", "reserved \"old\";", "",
     "t.BuyRequest: BREAKS: name old is no longer reserved"},
    {"RemovedEnumValue", "BLUE = 2;", "", "t.Color.BLUE: BREAKS: was removed or renamed"},
    {"RenumberedEnumValue", "BLUE = 2;", "BLUE = 3;",
     "t.Color.BLUE: BREAKS: its number was 2 and is 3"},
    {"RemovedMethod", "rpc Watch(WatchRequest) returns (stream BuyResponse);", "",
     "t.Shop.Watch: BREAKS: was removed or renamed"},
    {"NoStream", "returns (stream BuyResponse)", "returns (BuyResponse)",
     "t.Shop.Watch: BREAKS: it was t.WatchRequest -> stream t.BuyResponse and is t.WatchRequest -> "
     "t.BuyResponse"},
    {"OtherResponse", "returns (stream BuyResponse)", "returns (stream GreetResponse)",
     "t.Shop.Watch: BREAKS: it was t.WatchRequest -> stream t.BuyResponse and is t.WatchRequest -> "
     "stream t.GreetResponse"},

    // Authority.
    {"BoundedBecomesUnbounded", "[(capbroker.v1.bounded_by) = \"amount\"]",
     "[(capbroker.v1.unbounded) = \"why not\"]",
     "t.BuyRequest.amount: LOOSENS: it was bounded_by \"amount\" and is unbounded"},
    {"BoundedBecomesNeither", "[(capbroker.v1.bounded_by) = \"amount\"]", "",
     "t.BuyRequest.amount: LOOSENS: it was bounded_by \"amount\" and is neither bounded nor "
     "unbounded"},
    {"BoundedByAnother", "[(capbroker.v1.bounded_by) = \"amount\"]",
     "[(capbroker.v1.bounded_by) = \"bits\"]",
     "t.BuyRequest.amount: LOOSENS: it was bounded_by \"amount\" and is bounded_by \"bits\""},
    {"NestedBecomesUnbounded", "Color color = 1 [(capbroker.v1.bounded_by) = \"colors\"]",
     "Color color = 1 [(capbroker.v1.unbounded) = \"x\"]",
     "t.Inner.color: LOOSENS: it was bounded_by \"colors\" and is unbounded"},
    {"UnboundedBecomesBounded", "[(capbroker.v1.unbounded) = \"a note\"",
     "[(capbroker.v1.bounded_by) = \"names\"",
     "t.BuyRequest.note: BREAKS: it was unbounded and is bounded_by \"names\""},
    {"Longer", "(capbroker.v1.max_length) = 32", "(capbroker.v1.max_length) = 33",
     "t.BuyRequest.note: LOOSENS: max_length was 32 and is 33"},
    {"AnyLength", ", (capbroker.v1.max_length) = 32", "",
     "t.BuyRequest.note: LOOSENS: max_length was 32 and is none"},
    {"Shorter", "(capbroker.v1.max_length) = 32", "(capbroker.v1.max_length) = 31",
     "t.BuyRequest.note: BREAKS: max_length was 32 and is 31"},
    {"AnotherKindOfLimit", "NAME_PATTERNS", "SET",
     "t.Limits.names: BREAKS: its kind of limit was NAME_PATTERNS and is SET"},
    {"AnotherLimitsMessage", "limits: \"t.Limits\"", "limits: \"t.Inner\"",
     "t.Shop: BREAKS: its limits message was \"t.Limits\" and is \"t.Inner\""},
    {"NoBudget", "budget: \"t.Budget\"", "",
     "t.Shop: LOOSENS: its budget message was t.Budget and is none"},
    {"LargerMessages", "max_message_bytes: 1000", "",
     "t.Shop: LOOSENS: max_message_bytes was 1000 and is 4194304"},
    {"SmallerMessages", "max_message_bytes: 1000", "max_message_bytes: 999",
     "t.Shop: BREAKS: max_message_bytes was 1000 and is 999"},
    {"MoreByDefault", "default_value: 10", "default_value: 11",
     "t.Budget.calls: LOOSENS: its default was 10 and is 11"},
    {"BudgetOfAnother", "of: \"names\"", "of: \"colors\"",
     "t.Budget.seen: LOOSENS: what it bounds was DISTINCT_VALUES of names and is DISTINCT_VALUES "
     "of "
     "colors"},
    {"BudgetWithoutRule", "[(capbroker.v1.budget) = {kind: CALLS_PER_MINUTE default_value: 10}]",
     "",
     "t.Budget.calls: LOOSENS: what it bounds was CALLS_PER_MINUTE and is BUDGET_KIND_UNSPECIFIED"},
    {"NeedsNothing", "option (capbroker.v1.needs) = {field: \"colors\" value: \"RED\"};", "",
     "t.Shop.Buy: LOOSENS: does not need RED in colors any more"},
    {"NeedsMore", "rpc Watch(WatchRequest) returns (stream BuyResponse);",
     "rpc Watch(WatchRequest) returns (stream BuyResponse) { option (capbroker.v1.needs) = {field: "
     "\"colors\" value: \"RED\"}; }",
     "t.Shop.Watch: BREAKS: now needs RED in colors"},
    {"Unlimited", "rpc Watch(WatchRequest) returns (stream BuyResponse);",
     "rpc Watch(WatchRequest) returns (stream BuyResponse) { option (capbroker.v1.unlimited) = "
     "\"x\"; }",
     "t.Shop.Watch: LOOSENS: is unlimited now"},
    {"NotUnlimited", "option (capbroker.v1.unlimited) = \"harmless\";", "",
     "t.Shop.Greet: BREAKS: is not unlimited any more"},
    {"MoreKindsOfDescriptor", "kinds: PIPE", "kinds: PIPE kinds: LANE",
     "t.BuyRequest.paper: LOOSENS: may be a LANE"},
    {"FewerKindsOfDescriptor", "kinds: PIPE ", "", "t.BuyRequest.paper: BREAKS: may not be a PIPE"},
    {"AnotherAccess", "access: READ ", "access: READ_WRITE ",
     "t.BuyRequest.paper: LOOSENS: its access was READ and is READ_WRITE"},
    {"NotAppendOnly", "append_only: true ", "",
     "t.BuyRequest.paper: LOOSENS: need not be append_only"},
    {"FewerSeals", "seals: 3", "seals: 2", "t.BuyRequest.paper: LOOSENS: needs fewer seals"},
    {"MoreSeals", "seals: 3", "seals: 7", "t.BuyRequest.paper: BREAKS: needs more seals"},
    {"NotSeekable", "seekable: true ", "", "t.BuyRequest.paper: LOOSENS: need not be seekable"},
    {"Larger", "max_size: 9", "max_size: 10", "t.BuyRequest.paper: LOOSENS: may be larger"},
    {"Smaller", "max_size: 9", "max_size: 8", "t.BuyRequest.paper: BREAKS: may not be as large"},
    {"OfAnySize", "max_size: 9 ", "", "t.BuyRequest.paper: LOOSENS: may be larger"},
    {"NotReduced", " reduced: true", "", "t.BuyRequest.paper: BREAKS: is not reduced any more"},
    {"NotLeased", " lease: SHUT_DOWN", "", "t.BuyResponse.clerk: LOOSENS: is not leased any more"},
    {"Leased", "{kinds: STREAM_SOCKET}", "{kinds: STREAM_SOCKET lease: SHUT_DOWN}",
     "t.BuyResponse.guard: BREAKS: is leased: it ends with its channel"},
    {"NoRights",
     "[(capbroker.v1.rights) = {kinds: PIPE access: READ append_only: true seals: 3 seekable: true "
     "max_size: 9 reduced: true}]",
     "", "t.BuyRequest.paper: LOOSENS: has no rights any more"},
};

class CompatibilityTest : public ::testing::TestWithParam<Change> {};

TEST_P(CompatibilityTest, FindsExactlyThis) {
  const Change& change = GetParam();
  const std::string now = absl::StrReplaceAll(kRecorded, {{change.from, change.to}});
  if (change.from[0] != '\0') {
    ASSERT_NE(now, kRecorded) << "the case changes nothing";
  }
  std::vector<std::string> found;
  for (const Finding& finding : Compare(Image(kRecorded), Image(now))) {
    found.push_back(finding.ToString());
  }
  if (change.finding[0] == '\0') {
    EXPECT_THAT(found, IsEmpty());
  } else {
    EXPECT_THAT(found, ElementsAre(change.finding));
  }
}

INSTANTIATE_TEST_SUITE_P(Changes, CompatibilityTest, ::testing::ValuesIn(kChanges),
                         [](const auto& info) { return std::string(info.param.name); });

std::vector<std::string> Removed(const std::string& from) {
  std::vector<std::string> elements;
  for (const Finding& finding : Compare(Image(kRecorded), Image(from))) {
    if (finding.change == "was removed or renamed") elements.push_back(finding.element);
  }
  return elements;
}

TEST(CompatibilityTest, NoticesRemovedMessagesEnumsServicesAndFiles) {
  const std::string empty = "syntax = \"proto3\"; package t;";
  EXPECT_THAT(Removed(empty), ElementsAre("t.Limits", "t.Budget", "t.BuyRequest", "t.Inner",
                                          "t.BuyResponse", "t.WatchRequest", "t.GreetRequest",
                                          "t.GreetResponse", "t.Color", "t.Shop"));
  const std::vector<Finding> without_files = Compare(Image(kRecorded), FileDescriptorSet());
  ASSERT_FALSE(without_files.empty());
  EXPECT_EQ(without_files[0].ToString(), "test.proto: BREAKS: was removed or renamed");
}

TEST(CompatibilityTest, NoticesAnotherPackage) {
  const std::string moved =
      absl::StrReplaceAll(kRecorded, {{"package t;", "package u;"}, {"\"t.", "\"u."}});
  EXPECT_EQ(Compare(Image(kRecorded), Image(moved))[0].ToString(),
            "test.proto: BREAKS: package was \"t\" and is \"u\"");
}

TEST(ImageTest, SurvivesBeingWritten) {
  const FileDescriptorSet image = Image(kRecorded);
  const std::string text = ImageToText(image, "bazel run //shop:shop_record");
  EXPECT_THAT(text, HasSubstr("[capbroker.v1.bounded_by]: \"names\""));
  EXPECT_THAT(text, HasSubstr("bazel run //shop:shop_record"));
  const absl::StatusOr<FileDescriptorSet> read = ImageFromText(text);
  ASSERT_OK(read.status());
  EXPECT_EQ(read->SerializeAsString(), image.SerializeAsString());
}

TEST(ImageTest, HoldsTheFilesThatAreMeant) {
  const FileDescriptorSet compiled = Compile(kRecorded);
  ASSERT_EQ(compiled.file_size(), 3);
  const FileDescriptorSet image = ImageOf(compiled, {"test.proto"});
  ASSERT_EQ(image.file_size(), 1);
  EXPECT_EQ(image.file(0).name(), "test.proto");
  EXPECT_EQ(ImageOf(compiled, {"capbroker/v1/authority.proto"}).file_size(), 2);
}

TEST(ImageTest, RefusesWhatIsNoImage) {
  EXPECT_EQ(ImageFromText("file { nane: \"x\" }").status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace capbroker::tools
