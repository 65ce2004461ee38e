#include "authority/schema.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "google/protobuf/any.pb.h"
#include "google/protobuf/compiler/importer.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/descriptor_database.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "tests/authority/every_kind.pb.h"

namespace capbroker::authority {
namespace {

using ::capbroker::testing::StatusIs;
using ::google::protobuf::ServiceDescriptor;
using ::testing::AllOf;
using ::testing::HasSubstr;

const ServiceDescriptor& EveryKind() {
  return *testing::v1::PlainRequest::descriptor()->file()->FindServiceByName("EveryKind");
}

// Protos given as text, over those that are linked.
class ProtoText : public google::protobuf::compiler::SourceTree {
 public:
  explicit ProtoText(std::string text) : text_(std::move(text)) {}

  google::protobuf::io::ZeroCopyInputStream* Open(const std::string& filename) override {
    if (filename != "test.proto") return nullptr;
    return new google::protobuf::io::ArrayInputStream(text_.data(), static_cast<int>(text_.size()));
  }

 private:
  const std::string text_;
};

// Compiles the schema of a service `S` in a proto of which `text` is the body.
// Limits fields of each kind and a method are there already.
class SchemaFaultTest : public ::testing::Test {
 protected:
  absl::Status Compile(absl::string_view text,
                       absl::string_view authority = R"(limits: "t.Limits" budget: "t.Budget")") {
    tree_ = std::make_unique<ProtoText>(absl::StrCat(R"(
        syntax = "proto3";
        package t;
        import "capbroker/v1/authority.proto";
        import "google/protobuf/any.proto";
        import "google/protobuf/struct.proto";
        message Nothing {}
        enum Color { COLOR_UNSPECIFIED = 0; COLOR_RED = 1; }
        enum Shape { SHAPE_UNSPECIFIED = 0; SHAPE_ROUND = 1; }
        service S {
          option (capbroker.v1.authority) = {)",
                                                     authority, "};", text));
    sources_ = std::make_unique<google::protobuf::compiler::SourceTreeDescriptorDatabase>(
        tree_.get(), nullptr);
    linked_ = std::make_unique<google::protobuf::DescriptorPoolDatabase>(
        *google::protobuf::DescriptorPool::generated_pool());
    merged_ =
        std::make_unique<google::protobuf::MergedDescriptorDatabase>(sources_.get(), linked_.get());
    pool_ = std::make_unique<google::protobuf::DescriptorPool>(merged_.get());
    const google::protobuf::FileDescriptor* file = pool_->FindFileByName("test.proto");
    if (file == nullptr) return absl::InternalError("the test's proto does not compile");
    absl::StatusOr<std::unique_ptr<const ServiceSchema>> schema =
        ServiceSchema::Compile(*file->FindServiceByName("S"));
    return schema.status();
  }

  // With good limits and budget, and a method whose request has these fields.
  absl::Status CompileRequest(absl::string_view fields, absl::string_view messages = "") {
    return Compile(absl::StrCat(R"(
          rpc M(Request) returns (Nothing) {
            option (capbroker.v1.needs) = {field: "colors" value: "COLOR_RED"};
          }
        }
        message Limits {
          repeated Color colors = 1 [(capbroker.v1.limit) = SET];
          repeated string words = 2 [(capbroker.v1.limit) = SET];
          repeated uint32 numbers = 3 [(capbroker.v1.limit) = SET];
          repeated string names = 4 [(capbroker.v1.limit) = NAME_PATTERNS];
          repeated bytes paths = 5 [(capbroker.v1.limit) = PATHS];
          repeated string ranges = 6 [(capbroker.v1.limit) = CIDRS];
          uint32 size = 7 [(capbroker.v1.limit) = MAXIMUM];
          uint32 flags = 8 [(capbroker.v1.limit) = FLAGS];
        }
        message Budget {}
        message Request {)",
                                fields, "}", messages));
  }

  // With good messages, and these methods.
  absl::Status CompileMethods(absl::string_view methods) {
    return Compile(absl::StrCat(methods, R"(
        }
        message Limits {
          repeated Color colors = 1 [(capbroker.v1.limit) = SET];
          repeated string words = 2 [(capbroker.v1.limit) = SET];
          repeated string names = 3 [(capbroker.v1.limit) = NAME_PATTERNS];
          uint32 flags = 4 [(capbroker.v1.limit) = FLAGS];
        }
        message Budget {}
        message Named {
          string name = 1 [(capbroker.v1.bounded_by) = "names", (capbroker.v1.max_length) = 9];
        }
        message Skippable {
          repeated string names = 1 [(capbroker.v1.bounded_by) = "names",
                                     (capbroker.v1.max_length) = 9];
          optional string name = 2 [(capbroker.v1.bounded_by) = "names",
                                    (capbroker.v1.max_length) = 9];
          uint32 flags = 3 [(capbroker.v1.bounded_by) = "flags"];
          Named named = 4 [(capbroker.v1.unbounded) = "its field is bounded"];
        }
        message File {
          capbroker.v1.Descriptor file = 1 [(capbroker.v1.rights) = {kinds: PIPE}];
        })"));
  }

  absl::Status CompileLimits(absl::string_view fields) {
    return Compile(absl::StrCat("} message Budget {} message Limits {", fields, "}"));
  }
  absl::Status CompileBudget(absl::string_view fields) {
    return Compile(absl::StrCat(R"(
        rpc M(Request) returns (Nothing);
      }
      message Limits {
        repeated string names = 1 [(capbroker.v1.limit) = NAME_PATTERNS];
        repeated string words = 2 [(capbroker.v1.limit) = SET];
      }
      message Request {
        string name = 1 [(capbroker.v1.bounded_by) = "names", (capbroker.v1.max_length) = 9];
      }
      message Budget {)",
                                fields, "}"));
  }

 private:
  std::unique_ptr<ProtoText> tree_;
  std::unique_ptr<google::protobuf::compiler::SourceTreeDescriptorDatabase> sources_;
  std::unique_ptr<google::protobuf::DescriptorPoolDatabase> linked_;
  std::unique_ptr<google::protobuf::MergedDescriptorDatabase> merged_;
  std::unique_ptr<google::protobuf::DescriptorPool> pool_;
};

#define EXPECT_FAULT(status, name, what)                             \
  EXPECT_THAT((status), StatusIs(absl::StatusCode::kInvalidArgument, \
                                 AllOf(HasSubstr(absl::StrCat(name, ": ")), HasSubstr(what))))

TEST_F(SchemaFaultTest, TheGoodParts) {
  EXPECT_OK(CompileRequest(""));
  EXPECT_OK(CompileMethods(""));
  EXPECT_OK(CompileLimits(""));
  EXPECT_OK(CompileBudget(""));
}

TEST_F(SchemaFaultTest, RequestFieldThatNobodyBounded) {
  EXPECT_FAULT(CompileRequest("uint32 forgotten = 1;"), "t.Request.forgotten",
               "neither bounded_by");
  EXPECT_FAULT(CompileRequest("bool forgotten = 1;"), "t.Request.forgotten", "neither bounded_by");
  EXPECT_FAULT(CompileRequest("Inner forgotten = 1;", "message Inner {}"), "t.Request.forgotten",
               "neither bounded_by");
  EXPECT_FAULT(CompileRequest("oneof o { uint32 forgotten = 1; }"), "t.Request.forgotten",
               "neither bounded_by");
  EXPECT_FAULT(CompileRequest("map<uint32, uint32> forgotten = 1 [(capbroker.v1.max_length) = 1];"),
               "t.Request.forgotten", "neither bounded_by");
}

TEST_F(SchemaFaultTest, RequestFieldThatNobodyBoundedDeepInside) {
  constexpr absl::string_view kInner =
      "message Inner { Deep deep = 1 [(capbroker.v1.unbounded) = "
      "\"bounded inside\"]; } message Deep { uint32 forgotten = 1; }";
  EXPECT_FAULT(
      CompileRequest("Inner inner = 1 [(capbroker.v1.unbounded) = \"bounded inside\"];", kInner),
      "t.Deep.forgotten", "neither bounded_by");
  EXPECT_FAULT(CompileRequest("map<uint32, Inner> inner = 1 [(capbroker.v1.unbounded) = "
                              "\"bounded inside\", (capbroker.v1.max_length) = 1];",
                              kInner),
               "t.Deep.forgotten", "neither bounded_by");
}

TEST_F(SchemaFaultTest, ExemptionWithoutAReason) {
  EXPECT_FAULT(CompileRequest("uint32 f = 1 [(capbroker.v1.unbounded) = \"\"];"), "t.Request.f",
               "gives no reason");
}

TEST_F(SchemaFaultTest, BothBoundedAndUnbounded) {
  EXPECT_FAULT(CompileRequest("uint32 f = 1 [(capbroker.v1.unbounded) = \"why\", "
                              "(capbroker.v1.bounded_by) = \"size\"];"),
               "t.Request.f", "both");
}

TEST_F(SchemaFaultTest, BoundedByNoLimitsField) {
  for (const char* limit : {"nothing", "", "t.Limits.size", "Size"}) {
    EXPECT_FAULT(
        CompileRequest(absl::StrCat("uint32 f = 1 [(capbroker.v1.bounded_by) = \"", limit, "\"];")),
        "t.Request.f", "no field of the limits");
  }
}

TEST_F(SchemaFaultTest, BoundedByALimitOfAnotherType) {
  const auto bounded = [](absl::string_view type, absl::string_view limit) {
    return absl::StrCat(
        type, " f = 1 [(capbroker.v1.bounded_by) = \"", limit, "\"",
        type == "string" || type == "bytes" ? ", (capbroker.v1.max_length) = 9" : "", "];");
  };
  EXPECT_OK(CompileRequest(bounded("Color", "colors")));
  EXPECT_OK(CompileRequest(bounded("bytes", "words")));
  EXPECT_OK(CompileRequest(bounded("int32", "words")));
  EXPECT_OK(CompileRequest(bounded("fixed64", "numbers")));
  EXPECT_OK(CompileRequest(bounded("string", "paths")));
  EXPECT_OK(CompileRequest(bounded("bytes", "ranges")));
  EXPECT_OK(CompileRequest(bounded("sint64", "size")));
  for (const auto& [type, limit] :
       {std::pair("Shape", "colors"), std::pair("uint32", "colors"), std::pair("string", "colors"),
        std::pair("Color", "words"), std::pair("bool", "words"), std::pair("double", "words"),
        std::pair("int32", "numbers"), std::pair("Color", "numbers"), std::pair("bytes", "names"),
        std::pair("uint32", "names"), std::pair("uint32", "paths"), std::pair("uint32", "ranges"),
        std::pair("string", "size"), std::pair("float", "size"), std::pair("bool", "size"),
        std::pair("int32", "flags"), std::pair("bool", "flags"), std::pair("Nothing", "colors")}) {
    EXPECT_FAULT(CompileRequest(bounded(type, limit)), "t.Request.f",
                 "its type cannot be bounded by");
  }
}

TEST_F(SchemaFaultTest, MapOfAnotherTypeThanItsLimit) {
  EXPECT_FAULT(CompileRequest("map<string, uint32> f = 1 [(capbroker.v1.bounded_by) = \"names\", "
                              "(capbroker.v1.max_length) = 1];"),
               "t.Request.f", "its type cannot be bounded by");
}

TEST_F(SchemaFaultTest, TextOrRepeatedWithoutALength) {
  for (const char* type : {"string", "bytes", "repeated uint32", "map<uint32, uint32>"}) {
    EXPECT_FAULT(CompileRequest(absl::StrCat(type, " f = 1 [(capbroker.v1.unbounded) = \"why\"];")),
                 "t.Request.f", "max_length");
  }
  EXPECT_FAULT(CompileRequest("uint32 f = 1 [(capbroker.v1.unbounded) = \"why\", "
                              "(capbroker.v1.max_length) = 1];"),
               "t.Request.f", "no length");
}

TEST_F(SchemaFaultTest, RecursiveRequest) {
  EXPECT_FAULT(CompileRequest("Request again = 1 [(capbroker.v1.unbounded) = \"why\"];"),
               "t.Request", "recursive");
  EXPECT_FAULT(
      CompileRequest("A a = 1 [(capbroker.v1.unbounded) = \"why\"];",
                     "message A { B b = 1 [(capbroker.v1.unbounded) = \"why\"]; }"
                     "message B { map<uint32, A> a = 1 [(capbroker.v1.unbounded) = \"why\", "
                     "(capbroker.v1.max_length) = 1]; }"),
      "t.A", "recursive");
  EXPECT_FAULT(CompileRequest("google.protobuf.Struct s = 1 [(capbroker.v1.unbounded) = \"why\"];"),
               "google.protobuf.Struct", "recursive");
  // The same type twice is no recursion.
  EXPECT_OK(
      CompileRequest("google.protobuf.Any a = 1 [(capbroker.v1.unbounded) = \"why\"];"
                     "google.protobuf.Any b = 2 [(capbroker.v1.unbounded) = \"why\"];"));
}

TEST_F(SchemaFaultTest, DescriptorWithoutRights) {
  EXPECT_OK(
      CompileRequest("capbroker.v1.Descriptor f = 1 [(capbroker.v1.rights) = {kinds: PIPE}];"));
  EXPECT_FAULT(CompileRequest("capbroker.v1.Descriptor f = 1;"), "t.Request.f", "without");
  EXPECT_FAULT(
      CompileRequest("capbroker.v1.Descriptor f = 1 [(capbroker.v1.unbounded) = \"why\"];"),
      "t.Request.f", "without");
  EXPECT_FAULT(
      CompileRequest("capbroker.v1.Descriptor f = 1 [(capbroker.v1.bounded_by) = \"words\", "
                     "(capbroker.v1.rights) = {kinds: PIPE}];"),
      "t.Request.f", "cannot be bounded by");
  EXPECT_FAULT(
      CompileRequest("capbroker.v1.Descriptor f = 1 [(capbroker.v1.rights) = {access: READ}];"),
      "t.Request.f", "no kind");
  EXPECT_FAULT(
      CompileRequest(
          "capbroker.v1.Descriptor f = 1 [(capbroker.v1.rights) = {kinds: KIND_UNSPECIFIED}];"),
      "t.Request.f", "unknown kind");
  EXPECT_FAULT(CompileRequest("uint32 f = 1 [(capbroker.v1.unbounded) = \"why\", "
                              "(capbroker.v1.rights) = {kinds: PIPE}];"),
               "t.Request.f", "no descriptor");
  EXPECT_FAULT(
      CompileRequest("map<uint32, capbroker.v1.Descriptor> f = 1 [(capbroker.v1.unbounded) = "
                     "\"why\", (capbroker.v1.max_length) = 1];"),
      "t.Request.f", "in a map");
}

TEST_F(SchemaFaultTest, RightsThatNothingOfTheKindCanHave) {
  const auto compile = [this](absl::string_view rights) {
    return CompileRequest(
        absl::StrCat("capbroker.v1.Descriptor f = 1 [(capbroker.v1.rights) = {", rights, "}];"));
  };
  EXPECT_OK(compile("kinds: PIDFD access: NO_ACCESS"));
  EXPECT_FAULT(compile("kinds: PIDFD kinds: PIPE access: NO_ACCESS"), "t.Request.f", "PIDFD alone");
  EXPECT_OK(compile("kinds: MEMFD seals: 15"));
  EXPECT_FAULT(compile("kinds: MEMFD kinds: PIPE seals: 15"), "t.Request.f", "MEMFD alone");
  EXPECT_OK(compile("kinds: REGULAR_FILE append_only: true"));
  EXPECT_FAULT(compile("kinds: REGULAR_FILE access: READ append_only: true"), "t.Request.f",
               "cannot be written");
  EXPECT_OK(compile("kinds: CHARACTER_DEVICE kinds: MEMFD seekable: true"));
  EXPECT_FAULT(compile("kinds: PIPE seekable: true"), "t.Request.f", "never is");
  EXPECT_OK(compile("kinds: REGULAR_FILE max_size: 1"));
  EXPECT_FAULT(compile("kinds: CHARACTER_DEVICE max_size: 1"), "t.Request.f", "no size");
  EXPECT_OK(compile("kinds: REGULAR_FILE access: WRITE reduced: true"));
  EXPECT_FAULT(compile("kinds: REGULAR_FILE reduced: true"), "t.Request.f", "is reduced");
  EXPECT_FAULT(compile("kinds: PIPE access: READ reduced: true"), "t.Request.f", "is reduced");
  for (const char* kinds :
       {"kinds: REGULAR_FILE", "kinds: LANE", "kinds: STREAM_SOCKET kinds: PIPE"}) {
    EXPECT_FAULT(compile(absl::StrCat(kinds, " lease: SHUT_DOWN")), "t.Request.f",
                 "neither a STREAM_SOCKET nor a LISTENING_SOCKET alone");
  }
  EXPECT_FAULT(compile("kinds: STREAM_SOCKET lease: SHUT_DOWN"), "t.Request.f", "in a request");
}

TEST_F(SchemaFaultTest, DescriptorsInAStream) {
  EXPECT_FAULT(CompileMethods("rpc M(stream File) returns (Nothing) { "
                              "option (capbroker.v1.unlimited) = \"why\"; }"),
               "t.S.M", "carry descriptors");
  EXPECT_FAULT(CompileMethods("rpc M(Named) returns (stream File);"), "t.S.M", "carry descriptors");
  EXPECT_OK(CompileMethods("rpc M(Named) returns (File);"));
}

TEST_F(SchemaFaultTest, NeedsThatNameNothing) {
  const auto needs = [](absl::string_view need) {
    return absl::StrCat("rpc M(Nothing) returns (Nothing) { option (capbroker.v1.needs) = {", need,
                        "}; }");
  };
  EXPECT_OK(CompileMethods(needs(R"(field: "colors" value: "COLOR_RED")")));
  EXPECT_OK(CompileMethods(needs(R"(field: "words" value: "x")")));
  EXPECT_FAULT(CompileMethods(needs(R"(field: "color" value: "COLOR_RED")")), "t.S.M", "no SET");
  EXPECT_FAULT(CompileMethods(needs(R"(field: "names" value: "a.b")")), "t.S.M", "no SET");
  EXPECT_FAULT(CompileMethods(needs(R"(field: "colors" value: "COLOR_PINK")")), "t.S.M",
               "no value");
  EXPECT_FAULT(CompileMethods(needs(R"(field: "colors" value: "COLOR_UNSPECIFIED")")), "t.S.M",
               "no value");
  EXPECT_FAULT(CompileMethods(needs(R"(field: "words" value: "*")")), "t.S.M", "no value");
  EXPECT_FAULT(CompileMethods(needs(R"(field: "words")")), "t.S.M", "no value");
}

TEST_F(SchemaFaultTest, MethodThatEmptyLimitsWouldAllow) {
  for (const char* types : {"Nothing", "Skippable", "stream Named"}) {
    EXPECT_FAULT(CompileMethods(absl::StrCat("rpc M(", types, ") returns (Nothing);")), "t.S.M",
                 "empty limits would allow it");
    EXPECT_OK(CompileMethods(absl::StrCat("rpc M(", types,
                                          ") returns (Nothing) { option "
                                          "(capbroker.v1.unlimited) = \"why\"; }")));
  }
  EXPECT_OK(CompileMethods("rpc M(Named) returns (Nothing);"));
}

TEST_F(SchemaFaultTest, UnlimitedWithoutAReasonOrWithNeeds) {
  EXPECT_FAULT(CompileMethods("rpc M(Nothing) returns (Nothing) { "
                              "option (capbroker.v1.unlimited) = \"\"; }"),
               "t.S.M", "gives no reason");
  EXPECT_FAULT(CompileMethods("rpc M(Nothing) returns (Nothing) { "
                              "option (capbroker.v1.unlimited) = \"why\"; "
                              "option (capbroker.v1.needs) = {field: \"words\" value: \"x\"}; }"),
               "t.S.M", "unlimited, and needs");
}

TEST_F(SchemaFaultTest, LimitsFieldWithoutAKind) {
  EXPECT_FAULT(CompileLimits("repeated string f = 1;"), "t.Limits.f", "has no");
}

TEST_F(SchemaFaultTest, LimitsFieldOfATypeThatItsKindCannotHave) {
  for (const auto& [type, kind] :
       {std::pair("string", "SET"), std::pair("Color", "SET"), std::pair("repeated bool", "SET"),
        std::pair("repeated double", "SET"), std::pair("repeated Nothing", "SET"),
        std::pair("map<string, string>", "SET"), std::pair("repeated bytes", "NAME_PATTERNS"),
        std::pair("string", "NAME_PATTERNS"), std::pair("repeated string", "PATHS"),
        std::pair("repeated bytes", "CIDRS"), std::pair("repeated uint32", "MAXIMUM"),
        std::pair("string", "MAXIMUM"), std::pair("Color", "MAXIMUM"), std::pair("bool", "FLAGS"),
        std::pair("int32", "FLAGS"), std::pair("repeated uint32", "FLAGS")}) {
    EXPECT_FAULT(CompileLimits(absl::StrCat(type, " f = 1 [(capbroker.v1.limit) = ", kind, "];")),
                 "t.Limits.f", "cannot be of the kind");
  }
}

TEST_F(SchemaFaultTest, LimitsFieldWithPresence) {
  EXPECT_FAULT(CompileLimits("optional uint32 f = 1 [(capbroker.v1.limit) = MAXIMUM];"),
               "t.Limits.f", "neither optional nor in a oneof");
  EXPECT_FAULT(CompileLimits("oneof o { uint32 f = 1 [(capbroker.v1.limit) = MAXIMUM]; }"),
               "t.Limits.f", "neither optional nor in a oneof");
}

TEST_F(SchemaFaultTest, BudgetFieldThatIsNoBudget) {
  const auto field = [](absl::string_view type, absl::string_view rule) {
    return absl::StrCat(type, " f = 1 [(capbroker.v1.budget) = {", rule, "}];");
  };
  EXPECT_OK(CompileBudget(field("uint64", "kind: CLONES default_value: 1")));
  EXPECT_FAULT(CompileBudget("uint32 f = 1;"), "t.Budget.f", "has no");
  for (const char* type : {"string", "bool", "double", "int32", "repeated uint32",
                           "optional uint32", "Nothing", "Color"}) {
    EXPECT_FAULT(CompileBudget(field(type, "kind: CLONES")), "t.Budget.f", "single uint32");
  }
  EXPECT_FAULT(CompileBudget(field("uint32", "kind: CLONES default_value: 4294967296")),
               "t.Budget.f", "does not fit");
  EXPECT_OK(CompileBudget(field("uint32", R"(kind: DISTINCT_VALUES of: "names")")));
  for (const char* of : {"", "nothing", "words"}) {  // no request field is bounded by words
    EXPECT_FAULT(
        CompileBudget(field("uint32", absl::StrCat("kind: DISTINCT_VALUES of: \"", of, "\""))),
        "t.Budget.f", "bounds no request field");
  }
  EXPECT_FAULT(
      CompileBudget(field("uint32", R"(kind: DISTINCT_VALUES of: "names" default_value: 100001)")),
      "t.Budget.f", "more than");
  EXPECT_FAULT(CompileBudget(field("uint32", R"(kind: CLONES of: "names")")), "t.Budget.f",
               "only DISTINCT_VALUES");
  EXPECT_FAULT(CompileBudget("uint32 a = 1 [(capbroker.v1.budget) = {kind: CLONES}];"
                             "uint32 b = 2 [(capbroker.v1.budget) = {kind: CLONES}];"),
               "t.Budget.b", "bounds the same as a");
}

TEST_F(SchemaFaultTest, MessagesThatAreNotThere) {
  EXPECT_FAULT(Compile("}", R"(limits: "t.Nowhere")"), "t.S", "no message");
  EXPECT_FAULT(Compile("}", R"(budget: "t.Nowhere")"), "t.S", "no message");
  EXPECT_FAULT(Compile("}", R"(max_message_bytes: 67108865)"), "t.S", "max_message_bytes");
}

TEST_F(SchemaFaultTest, WithoutLimitsOnlyUnlimitedMethods) {
  EXPECT_OK(Compile(
      "rpc M(Nothing) returns (Nothing) { option (capbroker.v1.unlimited) = \"why\"; } }", ""));
  EXPECT_FAULT(Compile("rpc M(Nothing) returns (Nothing); }", ""), "t.S.M", "empty limits");
}

// A proto2 message can have extensions, which no option of its own file bounds.
TEST(SchemaTest, Proto2IsRefusedInRequestsAtAnyDepthInLimitsAndInBudgets) {
  google::protobuf::FileDescriptorProto old_file;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"(name: "old.proto" package: "old"
         message_type { name: "Extensible" extension_range { start: 100 end: 200 } }
         extension { name: "text" number: 100 label: LABEL_OPTIONAL type: TYPE_STRING
                     extendee: ".old.Extensible" })",
      &old_file));
  for (const char* part : {"request", "nested", "limits", "budget"}) {
    SCOPED_TRACE(part);
    const absl::string_view named = part;
    google::protobuf::DescriptorPool pool(google::protobuf::DescriptorPool::generated_pool());
    ASSERT_NE(pool.BuildFile(old_file), nullptr);
    google::protobuf::FileDescriptorProto file;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
        R"(name: "new.proto" syntax: "proto3" dependency: "old.proto"
           dependency: "capbroker/v1/authority.proto"
           message_type { name: "Empty" }
           message_type { name: "Outer" field {
             name: "inner" number: 1 label: LABEL_OPTIONAL type: TYPE_MESSAGE
             type_name: ".old.Extensible"
             options { [capbroker.v1.unbounded]: "its own fields" } } }
           service { name: "S" method {
             name: "M" input_type: ".Empty" output_type: ".Empty"
             options { [capbroker.v1.unlimited]: "for tests" } } })",
        &file));
    google::protobuf::ServiceDescriptorProto& service = *file.mutable_service(0);
    if (named == "request") service.mutable_method(0)->set_input_type(".old.Extensible");
    if (named == "nested") service.mutable_method(0)->set_input_type(".Outer");
    v1::ServiceAuthority& authority = *service.mutable_options()->MutableExtension(v1::authority);
    if (named == "limits") authority.set_limits("old.Extensible");
    if (named == "budget") authority.set_budget("old.Extensible");
    const google::protobuf::FileDescriptor* const built = pool.BuildFile(file);
    ASSERT_NE(built, nullptr);
    EXPECT_FAULT(ServiceSchema::Compile(*built->service(0)).status(), "Extensible", "not proto3");
  }
}

TEST(SchemaTest, CompilesEveryShapeOfField) {
  ASSERT_OK_AND_ASSIGN(const auto schema, ServiceSchema::Compile(EveryKind()));
  EXPECT_EQ(schema->name(), "capbroker.testing.v1.EveryKind");
  EXPECT_EQ(schema->max_message_bytes(), 65536u);
  EXPECT_EQ(schema->limits_type()->full_name(), "capbroker.testing.v1.EveryKindLimits");
  EXPECT_EQ(schema->limit_fields().size(), 12u);
  EXPECT_EQ(schema->budget_fields().size(), 7u);
  EXPECT_EQ(schema->methods().size(), 5u);
  const MethodSchema* plain = schema->FindMethod("Plain");
  ASSERT_NE(plain, nullptr);
  EXPECT_EQ(plain->needs().size(), 1u);
  EXPECT_TRUE(plain->response_descriptors());
  EXPECT_FALSE(plain->request_descriptors());
  EXPECT_TRUE(schema->FindMethod("Shaped")->request_descriptors());
  EXPECT_TRUE(schema->FindMethod("Free")->unlimited());
  EXPECT_TRUE(schema->FindMethod("Streamed")->streaming());
  EXPECT_EQ(schema->FindMethod("plain"), nullptr);
  EXPECT_EQ(schema->FindLimit("names"), 6);
  EXPECT_EQ(schema->FindLimit("name"), -1);
}

TEST(SchemaTest, ASetThatBoundsOnlyNumbersIsDecimal) {
  ASSERT_OK_AND_ASSIGN(const auto schema, ServiceSchema::Compile(EveryKind()));
  EXPECT_TRUE(schema->limit_fields()[schema->FindLimit("id_texts")].decimal);
  EXPECT_FALSE(schema->limit_fields()[schema->FindLimit("words")].decimal);
}

}  // namespace
}  // namespace capbroker::authority
