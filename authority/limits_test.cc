#include "authority/limits.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "authority/bounded_values.h"
#include "base/status_matchers.h"
#include "capbroker/dns/v1/resolver.pb.h"
#include "capbroker/group/v1/group_database.pb.h"
#include "capbroker/v1/capability.pb.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/unknown_field_set.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "tests/authority/every_kind.pb.h"

namespace capbroker::authority {
namespace {

using ::capbroker::testing::StatusIs;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::v1::PlainRequest;
using testing::v1::ShapedRequest;

constexpr absl::string_view kPlainLimits = R"pb(
  colors: COLOR_RED
  words: "w"
  blobs: "b"
  numbers: -1
  ids: 7
  id_texts: "-9"
  names: "example.org"
  names: "*.example.net"
  paths: "/srv/"
  ranges: "192.0.2.0/24"
  size: 100
  level: 5
  flags: 6
)pb";

constexpr absl::string_view kPlainRequest = R"pb(
  color: COLOR_RED
  word: "w"
  blob: "b"
  number: -1
  id: 7
  id_text: -9
  name: "Example.org."
  path: "/srv/a"
  address: "192.0.2.1"
  packed_address: "\300\000\002\001"
  size: 100
  level: 5
  flags: 2
)pb";

class LimitsTest : public ::testing::Test {
 protected:
  LimitsTest()
      : schema_(ServiceSchema::Compile(
                    *PlainRequest::descriptor()->file()->FindServiceByName("EveryKind"))
                    .value()) {}

  std::shared_ptr<const Limits> Make(absl::string_view text) const {
    return Limits::CompileText(*schema_, text).value();
  }

  template <typename Request>
  static Request Parse(absl::string_view text) {
    Request request;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(std::string(text), &request));
    return request;
  }

  // "NOT_IN_LIMITS names", or "allowed".
  std::string Answer(const Limits& limits, absl::string_view method,
                     const google::protobuf::Message& request) const {
    const std::optional<Refusal> refusal = limits.Check(*schema_->FindMethod(method), request);
    if (!refusal.has_value()) return "allowed";
    EXPECT_EQ(refusal->denial.method(), method);
    return absl::StrCat(v1::Denial::Reason_Name(refusal->denial.reason()), " ",
                        refusal->denial.field());
  }
  std::string Plain(absl::string_view limits, absl::string_view request) const {
    return Answer(*Make(limits), "Plain", Parse<PlainRequest>(request));
  }
  // Of a request that is good but for one field.
  std::string PlainBut(absl::string_view field) const {
    PlainRequest request = Parse<PlainRequest>(kPlainRequest);
    const PlainRequest change = Parse<PlainRequest>(field);
    request.MergeFrom(change);
    return Answer(*Make(kPlainLimits), "Plain", request);
  }
  std::string Shaped(absl::string_view limits, absl::string_view request) const {
    return Answer(*Make(absl::StrCat("words: 'shaped' numbers: -1 ", limits)), "Shaped",
                  Parse<ShapedRequest>(request));
  }

  const std::unique_ptr<const ServiceSchema> schema_;
};

TEST_F(LimitsTest, AllowsWhatEveryFieldAllows) {
  EXPECT_EQ(Plain(kPlainLimits, kPlainRequest), "allowed");
}

TEST_F(LimitsTest, DeniesWhatOneFieldDoesNotAllow) {
  EXPECT_EQ(PlainBut("color: COLOR_GREEN"), "NOT_IN_LIMITS colors");
  EXPECT_EQ(PlainBut("color: 55"), "NOT_IN_LIMITS colors");
  EXPECT_EQ(PlainBut("word: 'x'"), "NOT_IN_LIMITS words");
  EXPECT_EQ(PlainBut("blob: 'x'"), "NOT_IN_LIMITS blobs");
  EXPECT_EQ(PlainBut("number: 1"), "NOT_IN_LIMITS numbers");
  EXPECT_EQ(PlainBut("id: 8"), "NOT_IN_LIMITS ids");
  EXPECT_EQ(PlainBut("id_text: 9"), "NOT_IN_LIMITS id_texts");
  EXPECT_EQ(PlainBut("name: 'example.net'"), "NOT_IN_LIMITS names");
  EXPECT_EQ(PlainBut("path: '/srv/../etc'"), "NOT_IN_LIMITS paths");
  EXPECT_EQ(PlainBut("address: '192.0.3.1'"), "NOT_IN_LIMITS ranges");
  EXPECT_EQ(PlainBut("packed_address: '\\300\\000\\003\\001'"), "NOT_IN_LIMITS ranges");
  EXPECT_EQ(PlainBut("size: 101"), "NOT_IN_LIMITS size");
  EXPECT_EQ(PlainBut("level: 6"), "NOT_IN_LIMITS level");
  EXPECT_EQ(PlainBut("level: -1"), "NOT_IN_LIMITS level");
  EXPECT_EQ(PlainBut("flags: 1"), "NOT_IN_LIMITS flags");
  EXPECT_EQ(PlainBut("flags: 18446744073709551615"), "NOT_IN_LIMITS flags");
}

// empty-grants-nothing
TEST_F(LimitsTest, AnUnsetLimitAllowsNothing) {
  PlainRequest request = Parse<PlainRequest>(kPlainRequest);
  const auto* type = testing::v1::EveryKindLimits::descriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    auto limits = Parse<testing::v1::EveryKindLimits>(kPlainLimits);
    limits.GetReflection()->ClearField(&limits, type->field(i));
    const auto compiled = Limits::Compile(*schema_, limits).value();
    const std::string reason =
        type->field(i)->name() == "colors" ? "METHOD_NOT_ALLOWED " : "NOT_IN_LIMITS ";
    EXPECT_EQ(Answer(*compiled, "Plain", request), reason + type->field(i)->name());
  }
}

// empty-grants-nothing
TEST_F(LimitsTest, UnsetRequestFieldsAreCheckedAsTheirDefaults) {
  EXPECT_EQ(Plain(kPlainLimits, ""), "NOT_IN_LIMITS colors");
  EXPECT_EQ(Plain("colors: COLOR_RED", "color: COLOR_RED"), "NOT_IN_LIMITS words");
  EXPECT_EQ(Plain("colors: COLOR_RED words: 'w'", "color: COLOR_RED"), "NOT_IN_LIMITS words");
  EXPECT_EQ(Plain("colors: COLOR_RED words: ''", "color: COLOR_RED"), "NOT_IN_LIMITS blobs");
  EXPECT_EQ(Plain("colors: COLOR_RED words: '*' blobs: '*' numbers: 0 ids: 0 id_texts: '0'"
                  "names: '*'",
                  "color: COLOR_RED"),
            "NOT_IN_LIMITS names");
  EXPECT_EQ(Plain("colors: COLOR_RED words: '*' blobs: '*' numbers: 0 ids: 0 id_texts: '*'"
                  "names: '*' paths: '/'",
                  "color: COLOR_RED name: 'a'"),
            "NOT_IN_LIMITS paths");
  EXPECT_EQ(Plain("colors: COLOR_RED words: '*' blobs: '*' numbers: 0 ids: 0 id_texts: '*'"
                  "names: '*' paths: '/' ranges: '::/0' ranges: '0.0.0.0/0' size: 1",
                  "color: COLOR_RED name: 'a' path: '/' address: '::1' packed_address: 'abcd'"),
            "NOT_IN_LIMITS level");
}

TEST_F(LimitsTest, AMethodNeedsAllItsNeeds) {
  EXPECT_EQ(Plain("colors: COLOR_BLUE", kPlainRequest), "METHOD_NOT_ALLOWED colors");
  EXPECT_EQ(Answer(*Make("words: 'shaped'"), "Shaped", ShapedRequest()),
            "METHOD_NOT_ALLOWED numbers");
  EXPECT_EQ(Answer(*Make("numbers: -1"), "Shaped", ShapedRequest()), "METHOD_NOT_ALLOWED words");
  EXPECT_EQ(Answer(*Make("numbers: -1 words: '*'"), "Shaped", ShapedRequest()), "allowed");
  EXPECT_EQ(Answer(*Limits::Nothing(*schema_), "Free", testing::v1::FreeRequest()), "allowed");
}

TEST_F(LimitsTest, AMethodOrRequestOfAnotherServiceIsRefused) {
  ASSERT_OK_AND_ASSIGN(
      const auto other,
      ServiceSchema::Compile(
          *dns::v1::ResolveRequest::descriptor()->file()->FindServiceByName("Resolver")));
  const auto limits = Make(kPlainLimits);
  EXPECT_TRUE(limits->Check(other->methods()[0], dns::v1::ResolveRequest()).has_value());
  EXPECT_EQ(Answer(*limits, "Plain", ShapedRequest()), "METHOD_NOT_ALLOWED ");
  // The same service, compiled a second time, is another schema too.
  ASSERT_OK_AND_ASSIGN(const auto again, ServiceSchema::Compile(schema_->descriptor()));
  EXPECT_TRUE(limits->Check(*again->FindMethod("Free"), testing::v1::FreeRequest()).has_value());
}

TEST_F(LimitsTest, EachElementOfARepeatedFieldIsChecked) {
  EXPECT_EQ(Shaped("words: 'a'", "words: 'a' words: 'shaped'"), "allowed");
  EXPECT_EQ(Shaped("words: 'a'", "words: 'a' words: 'b'"), "NOT_IN_LIMITS words");
  EXPECT_EQ(Shaped("ids: 1 ids: 2", "ids: 2 ids: 1 ids: 1"), "allowed");
  EXPECT_EQ(Shaped("ids: 1 ids: 2", "ids: 2 ids: 3"), "NOT_IN_LIMITS ids");
}

TEST_F(LimitsTest, AnOptionalFieldIsCheckedWhenItIsSet) {
  EXPECT_EQ(Shaped("", ""), "allowed");
  EXPECT_EQ(Shaped("", "name: 'a'"), "NOT_IN_LIMITS names");
  EXPECT_EQ(Shaped("names: 'a'", "name: 'a'"), "allowed");
  EXPECT_EQ(Shaped("names: '*'", "name: ''"), "NOT_IN_LIMITS names");
}

TEST_F(LimitsTest, NestedMessagesAreChecked) {
  EXPECT_EQ(Shaped("names: 'a'", "target { name: 'a' }"), "allowed");
  EXPECT_EQ(Shaped("names: 'a'", "target { name: 'b' }"), "NOT_IN_LIMITS names");
  EXPECT_EQ(Shaped("names: 'a'", "target { }"), "NOT_IN_LIMITS names");
  EXPECT_EQ(Shaped("names: 'a'", "targets { name: 'a' } targets { name: 'b' }"),
            "NOT_IN_LIMITS names");
  EXPECT_EQ(Shaped("names: 'a'", "targets { name: 'a' colors: COLOR_RED }"),
            "NOT_IN_LIMITS colors");
}

TEST_F(LimitsTest, TheMemberOfAOneofThatIsSetIsChecked) {
  EXPECT_EQ(Shaped("paths: '/a'", "path: '/a'"), "allowed");
  EXPECT_EQ(Shaped("paths: '/a'", "path: '/b'"), "NOT_IN_LIMITS paths");
  EXPECT_EQ(Shaped("paths: '/a'", "address: '::1'"), "NOT_IN_LIMITS ranges");
  EXPECT_EQ(Shaped("paths: '/a'", "size: 0"), "NOT_IN_LIMITS size");
}

TEST_F(LimitsTest, KeysAndValuesOfMapsAreChecked) {
  EXPECT_EQ(Shaped("names: 'a' names: 'b'", "aliases { key: 'a' value: 'b' }"), "allowed");
  EXPECT_EQ(Shaped("names: 'a'", "aliases { key: 'a' value: 'b' }"), "NOT_IN_LIMITS names");
  EXPECT_EQ(Shaped("names: 'a'", "aliases { key: 'b' value: 'a' }"), "NOT_IN_LIMITS names");
  EXPECT_EQ(Shaped("words: 'w' names: 'a'", "targets_by_word { key: 'w' value { name: 'a' } }"),
            "allowed");
  EXPECT_EQ(Shaped("words: 'w' names: 'a'", "targets_by_word { key: 'x' value { name: 'a' } }"),
            "NOT_IN_LIMITS words");
  EXPECT_EQ(Shaped("words: 'w' names: 'a'", "targets_by_word { key: 'w' value { name: 'b' } }"),
            "NOT_IN_LIMITS names");
  EXPECT_EQ(Shaped("words: 'w' names: 'a'", "targets_by_word { key: 'w' }"), "NOT_IN_LIMITS names");
  EXPECT_EQ(Shaped("", "colors_by_number { key: 1 value: 1 }"), "allowed");
}

TEST_F(LimitsTest, LengthsAreBounded) {
  EXPECT_EQ(PlainBut("word: '12345678901234567'"), "TOO_LONG word");
  EXPECT_EQ(Shaped("ids: 1", "ids: [1, 1, 1, 1]"), "allowed");
  EXPECT_EQ(Shaped("ids: 1", "ids: [1, 1, 1, 1, 1]"), "TOO_LONG ids");
  EXPECT_EQ(Shaped("", "note: '12345678'"), "allowed");
  EXPECT_EQ(Shaped("", "note: '123456789'"), "TOO_LONG note");
  EXPECT_EQ(Shaped("names: '*'",
                   "targets { name: 'a' } targets { name: 'a' } targets { name: 'a' }"
                   "targets { name: 'a' } targets { name: 'a' }"),
            "TOO_LONG targets");
  std::string request;
  for (int i = 0; i < 5; ++i) absl::StrAppend(&request, "colors_by_number { key: ", i, " }");
  EXPECT_EQ(Shaped("", request), "TOO_LONG colors_by_number");
}

TEST_F(LimitsTest, UnknownFieldsAreRefusedAtEveryDepth) {
  const auto add_unknown = [](google::protobuf::Message* message) {
    message->GetReflection()->MutableUnknownFields(message)->AddVarint(1000, 1);
  };
  const auto limits = Make("words: '*' numbers: -1 names: '*'");
  ShapedRequest request;
  add_unknown(&request);
  EXPECT_EQ(Answer(*limits, "Shaped", request), "UNKNOWN_FIELD ShapedRequest");

  request.Clear();
  request.mutable_target()->set_name("a");
  add_unknown(request.mutable_target());
  EXPECT_EQ(Answer(*limits, "Shaped", request), "UNKNOWN_FIELD Target");

  request.Clear();
  request.add_targets()->set_name("a");
  request.add_targets()->set_name("a");
  add_unknown(request.mutable_targets(1));
  EXPECT_EQ(Answer(*limits, "Shaped", request), "UNKNOWN_FIELD Target");

  request.Clear();
  (*request.mutable_targets_by_word())["w"].set_name("a");
  add_unknown(&request.mutable_targets_by_word()->at("w"));
  EXPECT_EQ(Answer(*limits, "Shaped", request), "UNKNOWN_FIELD Target");

  request.Clear();
  request.mutable_when()->set_seconds(1);
  request.mutable_any()->set_value("any");
  request.mutable_input()->set_slot(1);
  EXPECT_EQ(Answer(*limits, "Shaped", request), "allowed");
  add_unknown(request.mutable_when());
  EXPECT_EQ(Answer(*limits, "Shaped", request), "UNKNOWN_FIELD Timestamp");
  request.clear_when();
  add_unknown(request.mutable_input());
  EXPECT_EQ(Answer(*limits, "Shaped", request), "UNKNOWN_FIELD Descriptor");
}

TEST_F(LimitsTest, ARefusalShowsTheValue) {
  const auto limits = Make(kPlainLimits);
  const MethodSchema& plain = *schema_->FindMethod("Plain");
  const auto shown = [&](absl::string_view field) {
    PlainRequest request = Parse<PlainRequest>(kPlainRequest);
    request.MergeFrom(Parse<PlainRequest>(field));
    return limits->Check(plain, request)->value;
  };
  EXPECT_EQ(shown("color: COLOR_GREEN"), "COLOR_GREEN");
  EXPECT_EQ(shown("color: 55"), "55");
  EXPECT_EQ(shown("number: -2"), "-2");
  EXPECT_EQ(shown("name: 'db.corp'"), "db.corp");
  EXPECT_EQ(shown("packed_address: '\\377\\377\\377\\377'"), "255.255.255.255");
  EXPECT_EQ(shown("flags: 18446744073709551615"), "18446744073709551615");
}

TEST_F(LimitsTest, MalformedLimitsAreRefusedByName) {
  for (const auto& [text, field] :
       {std::pair("colors: COLOR_UNSPECIFIED", "colors"), std::pair("colors: 99", "colors"),
        std::pair("id_texts: '007'", "id_texts"), std::pair("names: 'a..b'", "names"),
        std::pair("names: ''", "names"), std::pair("paths: 'a'", "paths"),
        std::pair("paths: '/a/../b'", "paths"), std::pair("ranges: '10.0.0.1/8'", "ranges"),
        std::pair("level: -1", "level")}) {
    EXPECT_THAT(Limits::CompileText(*schema_, text),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr(absl::StrCat("EveryKindLimits.", field, ": "))))
        << text;
  }
  EXPECT_THAT(Limits::CompileText(*schema_, "nmaes: 'a'"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("nmaes")));
}

TEST_F(LimitsTest, LimitsThatAreNotUnderstoodCompletelyAreRefused) {
  auto limits = Parse<testing::v1::EveryKindLimits>(kPlainLimits);
  google::protobuf::Any any;
  any.PackFrom(limits);
  EXPECT_OK(Limits::Compile(*schema_, any));
  any.GetReflection()->MutableUnknownFields(&any)->AddVarint(1000, 1);
  EXPECT_THAT(Limits::Compile(*schema_, any), StatusIs(absl::StatusCode::kInvalidArgument));

  limits.GetReflection()->MutableUnknownFields(&limits)->AddVarint(1000, 1);
  EXPECT_THAT(Limits::Compile(*schema_, limits),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("unknown field 1000")));
  EXPECT_THAT(Limits::CompileBytes(*schema_, limits.SerializeAsString()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("unknown field 1000")));
  EXPECT_THAT(Limits::CompileBytes(*schema_, "\xff"), StatusIs(absl::StatusCode::kInvalidArgument));

  any.Clear();
  any.PackFrom(dns::v1::ResolverLimits());
  EXPECT_THAT(Limits::Compile(*schema_, any), StatusIs(absl::StatusCode::kInvalidArgument));
  any.set_type_url("capbroker.testing.v1.EveryKindLimits");
  EXPECT_THAT(Limits::Compile(*schema_, any), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Limits::Compile(*schema_, google::protobuf::Any()),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Limits::Compile(*schema_, dns::v1::ResolverLimits()),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(LimitsTest, LimitsAreBounded) {
  testing::v1::EveryKindLimits limits;
  limits.add_words(std::string(kMaxLimitEntryBytes, 'a'));
  EXPECT_OK(Limits::Compile(*schema_, limits));
  limits.add_words(std::string(kMaxLimitEntryBytes + 1, 'a'));
  EXPECT_THAT(Limits::Compile(*schema_, limits), StatusIs(absl::StatusCode::kInvalidArgument));

  limits.Clear();
  for (size_t i = 0; i < kMaxLimitEntries; ++i) limits.add_ids(i);
  EXPECT_OK(Limits::Compile(*schema_, limits));
  limits.add_ids(1);
  EXPECT_THAT(Limits::Compile(*schema_, limits), StatusIs(absl::StatusCode::kInvalidArgument));

  limits.Clear();
  for (int i = 0; i < 1000; ++i) limits.add_words(absl::StrCat(i, std::string(4000, 'a')));
  EXPECT_THAT(Limits::Compile(*schema_, limits), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(LimitsTest, TheMessageIsInCanonicalForm) {
  const auto limits = Make(
      "colors: [COLOR_BLUE, COLOR_RED, COLOR_RED] names: '*.A.b' names: 'x.a.B'"
      "paths: '/a/b' paths: '/a/' ranges: '10.0.0.0/9' ranges: '10.128.0.0/9'"
      "words: 'b' words: 'a' size: 3 flags: 5 numbers: [3, -3]");
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(
      *limits->message(),
      Parse<testing::v1::EveryKindLimits>(
          "colors: [COLOR_RED, COLOR_BLUE] names: '*.a.b' paths: '/a/' ranges: '10.0.0.0/8'"
          "words: ['a', 'b'] size: 3 flags: 5 numbers: [-3, 3]")))
      << limits->message()->DebugString();
  testing::v1::EveryKindLimits unpacked;
  ASSERT_TRUE(limits->ToAny().UnpackTo(&unpacked));
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*limits->message(), unpacked));
}

TEST_F(LimitsTest, MeetOfDifferentServicesAllowsNothing) {
  ASSERT_OK_AND_ASSIGN(
      const auto other,
      ServiceSchema::Compile(
          *dns::v1::ResolveRequest::descriptor()->file()->FindServiceByName("Resolver")));
  const auto meet = Meet(*Make(kPlainLimits), *Limits::Nothing(*other));
  EXPECT_EQ(meet->message()->ByteSizeLong(), 0u);
  EXPECT_EQ(&meet->schema(), schema_.get());
}

TEST_F(LimitsTest, NarrowRefusesAMeetThatIsTooLarge) {
  // Each side holds one directory that contains all the entries of the other.
  testing::v1::EveryKindLimits a;
  testing::v1::EveryKindLimits b;
  a.add_paths("/a/");
  b.add_paths("/b/");
  const std::string long_name(4000, 'x');
  for (int i = 0; i < 600; ++i) {
    a.add_paths(absl::StrCat("/b/", i, long_name));
    b.add_paths(absl::StrCat("/a/", i, long_name));
  }
  const auto compiled_a = Limits::Compile(*schema_, a).value();
  const auto compiled_b = Limits::Compile(*schema_, b).value();
  EXPECT_THAT(Narrow(*compiled_a, *compiled_b), StatusIs(absl::StatusCode::kResourceExhausted));
  ASSERT_OK_AND_ASSIGN(const auto same, Narrow(*compiled_a, *compiled_a));
  EXPECT_EQ(*same, *compiled_a);
  EXPECT_FALSE(*same == *compiled_b);
}

TEST_F(LimitsTest, WithoutEffectNamesWhatWasAskedForInVain) {
  const auto in_force = Make("words: 'a' names: '*.a' size: 5 flags: 3 ranges: '10.0.0.0/8'");
  EXPECT_THAT(WithoutEffect(*in_force, *in_force), IsEmpty());
  EXPECT_THAT(WithoutEffect(*Make("names: 'x.a' size: 4 ranges: '10.0.0.0/9'"
                                  "ranges: '10.128.0.0/9'"),
                            *in_force),
              IsEmpty());
  EXPECT_THAT(
      WithoutEffect(*Make("words: '*' names: 'a' size: 6 flags: 4 ranges: '::1'"), *in_force),
      ElementsAre("words", "names", "ranges", "size", "flags"));
}

TEST_F(LimitsTest, HandlersAskByFieldName) {
  const auto limits = Make(kPlainLimits);
  EXPECT_TRUE(limits->MatchesName("names", "example.org"));
  EXPECT_TRUE(limits->paths("paths").Allows("/srv"));
  EXPECT_TRUE(limits->ContainsAddress("ranges", absl::string_view("\xc0\0\2\1", 4)));
  EXPECT_TRUE(limits->SetContains("words", "w"));
  EXPECT_TRUE(limits->SetContains("colors", testing::v1::COLOR_RED));
  EXPECT_FALSE(limits->SetContains("colors", testing::v1::COLOR_UNSPECIFIED));
  EXPECT_TRUE(limits->SetContains("id_texts", -9));
  EXPECT_FALSE(limits->SetContains("id_texts", 9));
  EXPECT_TRUE(limits->WithinMaximum("size", 100));
  EXPECT_FALSE(limits->WithinMaximum("size", 101));
  EXPECT_TRUE(limits->HasFlags("flags", 6));
  EXPECT_FALSE(limits->HasFlags("flags", 7));
}

TEST_F(LimitsTest, AFieldThatIsNotThereAllowsNothing) {
  const auto limits = Make("names: '*' words: '*' paths: '/' ranges: '::/0' size: 1 flags: 1");
  EXPECT_FALSE(limits->MatchesName("paths", "a"));
  EXPECT_FALSE(limits->paths("nothing").Allows("/"));
  EXPECT_FALSE(limits->ContainsAddress("words", absl::string_view("\xc0\0\2\1", 4)));
  EXPECT_FALSE(limits->SetContains("names", "a"));
  EXPECT_FALSE(limits->SetContains("size", 1));
  EXPECT_FALSE(limits->WithinMaximum("flags", 1));
  EXPECT_FALSE(limits->HasFlags("size", 1));
}

class WatchedLimitsTest : public LimitsTest {
 protected:
  WatchedLimitsTest()
      : watcher_(std::make_shared<const Limits::Watcher>(
            [this](const LimitField& field, const RequestValue& value) {
              seen_.push_back(absl::StrCat(field.name(), ": ", TextOfValue(field, value)));
            })) {}

  std::vector<std::string> seen_;
  const std::shared_ptr<const Limits::Watcher> watcher_;
};

TEST_F(WatchedLimitsTest, TellWhatObjectsWereAllowedBy) {
  const auto limits = Make(kPlainLimits)->Watched(watcher_);
  EXPECT_TRUE(limits->MatchesName("names", "Example.ORG."));
  EXPECT_TRUE(limits->ContainsAddress("ranges", absl::string_view("\xc0\0\2\1", 4)));
  EXPECT_TRUE(limits->SetContains("colors", testing::v1::COLOR_RED));
  EXPECT_TRUE(limits->SetContains("id_texts", -9));
  EXPECT_TRUE(limits->WithinMaximum("size", 17));
  EXPECT_FALSE(limits->WithinMaximum("size", 101));
  EXPECT_FALSE(limits->MatchesName("names", "example.com"));
  EXPECT_THAT(seen_, ElementsAre("names: \"example.org\"", "ranges: \"192.0.2.1\"",
                                 "colors: COLOR_RED", "id_texts: \"-9\"", "size: 17"));
}

TEST_F(WatchedLimitsTest, TellNothingOfARequestThatIsRefused) {
  const auto limits = Make(kPlainLimits)->Watched(watcher_);
  PlainRequest request = Parse<PlainRequest>(kPlainRequest);
  request.set_flags(1);
  EXPECT_TRUE(limits->Check(*schema_->FindMethod("Plain"), request).has_value());
  EXPECT_THAT(seen_, IsEmpty());
  request.set_flags(2);
  EXPECT_FALSE(limits->Check(*schema_->FindMethod("Plain"), request).has_value());
  EXPECT_THAT(seen_, Contains("names: \"example.org\""));
  EXPECT_THAT(seen_, Contains("flags: 2"));
}

TEST_F(WatchedLimitsTest, WhatIsMadeOfThemTellsNobody) {
  const auto limits = Make(kPlainLimits)->Watched(watcher_);
  EXPECT_TRUE(Meet(*limits, *limits)->SetContains("words", "w"));
  EXPECT_THAT(seen_, IsEmpty());
}

TEST_F(LimitsTest, AServiceWithoutLimitsHasUnlimitedMethodsOnly) {
  ASSERT_OK_AND_ASSIGN(
      const auto schema,
      ServiceSchema::Compile(
          *capbroker::v1::NarrowRequest::descriptor()->file()->FindServiceByName("Capability")));
  const auto limits = Limits::Nothing(*schema);
  EXPECT_EQ(limits->message(), nullptr);
  const MethodSchema& narrow = *schema->FindMethod("Narrow");
  capbroker::v1::NarrowRequest request;
  EXPECT_FALSE(limits->Check(narrow, request).has_value());
  request.GetReflection()->MutableUnknownFields(&request)->AddVarint(1000, 1);
  EXPECT_TRUE(limits->Check(narrow, request).has_value());
  EXPECT_THAT(Limits::CompileText(*schema, ""), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(GroupLimitsTest, AnIdIsBoundedByItsText) {
  using group::v1::GetGroupByIdRequest;
  ASSERT_OK_AND_ASSIGN(
      const auto schema,
      ServiceSchema::Compile(
          *GetGroupByIdRequest::descriptor()->file()->FindServiceByName("GroupDatabase")));
  ASSERT_OK_AND_ASSIGN(
      const auto limits,
      Limits::CompileText(*schema, "operations: OPERATION_BY_ID group_ids: '1000'"));
  GetGroupByIdRequest request;
  request.set_id(1000);
  EXPECT_FALSE(limits->Check(*schema->FindMethod("GetGroupById"), request).has_value());
  request.set_id(100);
  EXPECT_TRUE(limits->Check(*schema->FindMethod("GetGroupById"), request).has_value());
  request.set_id(0);  // root's group, and the default
  EXPECT_TRUE(limits->Check(*schema->FindMethod("GetGroupById"), request).has_value());
}

}  // namespace
}  // namespace capbroker::authority
