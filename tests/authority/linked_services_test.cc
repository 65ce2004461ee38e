// Every service of the tree says in its proto what bounds each field of its requests:
// this is the test that fails when somebody adds one and forgets.
//
// The protos are read as they lie in the tree, so that none can be left out.
#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "authority/schema.h"
#include "base/status_matchers.h"
#include "capbroker/v1/authority.pb.h"
#include "gmock/gmock.h"
#include "google/protobuf/any.pb.h"
#include "google/protobuf/compiler/importer.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/descriptor_database.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "gtest/gtest.h"

namespace capbroker::testing {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::DescriptorPool;
using ::google::protobuf::DescriptorProto;
using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::FieldDescriptorProto;
using ::google::protobuf::FieldOptions;
using ::google::protobuf::FileDescriptor;
using ::google::protobuf::FileDescriptorProto;
using ::google::protobuf::ServiceDescriptor;
using ::testing::IsSupersetOf;

// The tree that this test was built from, found by a file of its root.
std::filesystem::path TreeRoot() { return std::filesystem::canonical("README.md").parent_path(); }

// Import paths of all protos: protos are imported by their path from the root, and
// those of proto/ from there.
std::vector<std::string> ProtosOfTheTree(const std::filesystem::path& root) {
  std::vector<std::string> found;
  for (auto entry = std::filesystem::recursive_directory_iterator(root);
       entry != std::filesystem::recursive_directory_iterator(); ++entry) {
    const std::string name = entry->path().filename();
    const bool aside = absl::StartsWith(name, ".") || absl::StartsWith(name, "bazel-");
    if (aside && (entry->is_symlink() || entry->is_directory())) {
      entry.disable_recursion_pending();
    } else if (entry->path().extension() == ".proto") {
      const std::string path = entry->path().lexically_relative(root);
      found.push_back(absl::StartsWith(path, "proto/") ? path.substr(6) : path);
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

class Errors final : public google::protobuf::compiler::MultiFileErrorCollector {
 public:
  void AddError(const std::string& file, int line, int, const std::string& message) override {
    ADD_FAILURE() << file << ":" << line + 1 << ": " << message;
  }
};

// All services of the tree, as they are or with one file changed.
class TreeServicesTest : public ::testing::Test {
 protected:
  TreeServicesTest() {
    // So that they are linked: protobuf's own are not in the tree.
    google::protobuf::Any::descriptor();
    google::protobuf::Duration::descriptor();
    google::protobuf::Timestamp::descriptor();
    const std::filesystem::path root = TreeRoot();
    tree_.MapPath("", (root / "proto").string());
    tree_.MapPath("", root.string());
    google::protobuf::compiler::SourceTreeDescriptorDatabase sources(&tree_);
    Errors errors;
    sources.RecordErrorsTo(&errors);
    google::protobuf::DescriptorPoolDatabase linked(*DescriptorPool::generated_pool());
    // What is linked comes first: the options are those that schemas read.
    google::protobuf::MergedDescriptorDatabase merged(&linked, &sources);
    DescriptorPool pool(&merged);
    for (const std::string& path : ProtosOfTheTree(root)) {
      const FileDescriptor* const file = pool.FindFileByName(path);
      if (file == nullptr) {
        ADD_FAILURE() << path << " does not compile";
        continue;
      }
      AddWithImports(*file);
    }
  }

  // Files after what they import.
  void AddWithImports(const FileDescriptor& file) {
    for (const FileDescriptorProto& known : files_) {
      if (known.name() == file.name()) return;
    }
    for (int i = 0; i < file.dependency_count(); ++i) AddWithImports(*file.dependency(i));
    FileDescriptorProto proto;
    file.CopyTo(&proto);
    // Read anew, so that options are of the types that are linked.
    files_.emplace_back().ParseFromString(proto.SerializeAsString());
  }

  // Gives every service of `files` to `visit`.
  static void ForEachService(const std::vector<FileDescriptorProto>& files,
                             const std::function<void(const ServiceDescriptor&)>& visit) {
    DescriptorPool pool;
    for (const FileDescriptorProto& proto : files) {
      const FileDescriptor* const file = pool.BuildFile(proto);
      ASSERT_NE(file, nullptr) << proto.name();
      for (int i = 0; i < file->service_count(); ++i) visit(*file->service(i));
    }
  }

  // The first service that does not compile, and why.
  absl::Status CompileAll(const std::vector<FileDescriptorProto>& files) {
    absl::Status first;
    ForEachService(files, [&first](const ServiceDescriptor& service) {
      if (first.ok()) first = authority::ServiceSchema::Compile(service).status();
    });
    return first;
  }

  google::protobuf::compiler::DiskSourceTree tree_;
  std::vector<FileDescriptorProto> files_;
};

TEST_F(TreeServicesTest, EveryServiceBoundsEveryFieldOfItsRequests) {
  std::vector<std::string> names;
  ForEachService(files_, [&names](const ServiceDescriptor& service) {
    names.push_back(service.full_name());
    EXPECT_OK(authority::ServiceSchema::Compile(service)) << service.full_name();
  });
  EXPECT_THAT(
      names, IsSupersetOf({"capbroker.dns.v1.Resolver", "capbroker.group.v1.GroupDatabase",
                           "capbroker.file.v1.FileOpener", "capbroker.v1.Capability",
                           "capbroker.v1.Broker", "capbroker.v1.Supervisor",
                           "capbroker.v1.ServiceControl", "examples.word_counter.v1.WordCounter"}));
}

// The fields of requests, at any depth, by full name; without those whose options
// are not ours.
void CollectRequestFields(const Descriptor& type, std::vector<const FieldDescriptor*>& fields) {
  if (absl::StartsWith(type.full_name(), "google.protobuf.")) return;
  if (type.full_name() == ::capbroker::v1::Descriptor::descriptor()->full_name()) return;
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* const field = type.field(i);
    if (std::find(fields.begin(), fields.end(), field) != fields.end()) return;
    if (!type.options().map_entry()) fields.push_back(field);
    if (field->message_type() != nullptr) CollectRequestFields(*field->message_type(), fields);
  }
}

FieldDescriptorProto* FindField(DescriptorProto& message, absl::string_view prefix,
                                absl::string_view full_name) {
  const std::string name = absl::StrCat(prefix, ".", message.name());
  if (!absl::StartsWith(full_name, absl::StrCat(name, "."))) return nullptr;
  for (FieldDescriptorProto& field : *message.mutable_field()) {
    if (absl::StrCat(name, ".", field.name()) == full_name) return &field;
  }
  for (DescriptorProto& nested : *message.mutable_nested_type()) {
    if (FieldDescriptorProto* found = FindField(nested, name, full_name)) return found;
  }
  return nullptr;
}

FieldDescriptorProto* FindField(std::vector<FileDescriptorProto>& files, const std::string& name) {
  for (FileDescriptorProto& file : files) {
    for (DescriptorProto& message : *file.mutable_message_type()) {
      if (FieldDescriptorProto* found = FindField(message, file.package(), name)) return found;
    }
  }
  return nullptr;
}

// What each field says is needed: without it the test above would fail.
TEST_F(TreeServicesTest, NoFieldCanForgetWhatBoundsIt) {
  ASSERT_OK(CompileAll(files_));
  std::vector<std::string> names;
  ForEachService(files_, [&names](const ServiceDescriptor& service) {
    for (int i = 0; i < service.method_count(); ++i) {
      std::vector<const FieldDescriptor*> fields;
      CollectRequestFields(*service.method(i)->input_type(), fields);
      for (const FieldDescriptor* field : fields) names.push_back(field->full_name());
    }
  });
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  ASSERT_GT(names.size(), 50u);

  for (const std::string& name : names) {
    FieldDescriptorProto* const field = FindField(files_, name);
    ASSERT_NE(field, nullptr) << name;
    const FieldOptions options = field->options();
    const auto without = [&](auto extension) {
      if (!options.HasExtension(extension)) return absl::InvalidArgumentError(name);
      field->mutable_options()->ClearExtension(extension);
      const absl::Status status = CompileAll(files_);
      *field->mutable_options() = options;
      return status;
    };
    // A descriptor's rights say enough.
    if (!options.HasExtension(::capbroker::v1::rights)) {
      EXPECT_THAT(without(::capbroker::v1::bounded_by),
                  StatusIs(absl::StatusCode::kInvalidArgument, ::testing::HasSubstr(name)));
      EXPECT_THAT(without(::capbroker::v1::unbounded),
                  StatusIs(absl::StatusCode::kInvalidArgument, ::testing::HasSubstr(name)));
    }
    EXPECT_THAT(without(::capbroker::v1::max_length),
                StatusIs(absl::StatusCode::kInvalidArgument, ::testing::HasSubstr(name)));
  }
}

}  // namespace
}  // namespace capbroker::testing
