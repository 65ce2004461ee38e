// Turns a service's options into a ServiceSchema; internal to authority/schema.h,
// which says what the rules are.
#ifndef AUTHORITY_SCHEMA_COMPILER_H_
#define AUTHORITY_SCHEMA_COMPILER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "authority/schema.h"
#include "google/protobuf/descriptor.h"

namespace capbroker::authority {

// Compiles one service, once.
class SchemaCompiler {
 public:
  explicit SchemaCompiler(const google::protobuf::ServiceDescriptor& service);

  absl::StatusOr<std::unique_ptr<const ServiceSchema>> Compile();

 private:
  absl::Status CompileMessageTypes();
  absl::Status CompileLimits();
  absl::Status CompileBudget();
  absl::Status CompileBudgetField(const google::protobuf::FieldDescriptor& field);
  absl::Status CompileMethods();
  absl::Status CompileNeed(const google::protobuf::MethodDescriptor& method,
                           const v1::Requirement& requirement, std::vector<Need>& needs);

  // The plan of a request message, and of all messages in it.
  absl::StatusOr<const MessagePlan*> PlanOf(const google::protobuf::Descriptor& type);
  absl::StatusOr<FieldPlan> PlanField(const google::protobuf::FieldDescriptor& field);
  absl::Status PlanBound(const google::protobuf::FieldDescriptor& field,
                         const std::string& bounded_by, FieldPlan& plan);
  // The plan of a map's entries, for which the map's own options stand.
  absl::StatusOr<const MessagePlan*> PlanMapEntry(const google::protobuf::FieldDescriptor& map);

  void MarkDecimalSets();

  const google::protobuf::ServiceDescriptor& service_;
  std::unique_ptr<ServiceSchema> schema_;
  // Plans by type; null while the plan is being made.
  absl::flat_hash_map<const google::protobuf::Descriptor*, const MessagePlan*> plans_;
  // By limits field: whether text, and whether integers are bounded by it.
  struct Bounds {
    bool text = false;
    bool integers = false;
  };
  std::vector<Bounds> bounds_;
};

// The value type with which a request field can be bounded by `limit`, or kNone.
ValueType MatchTypes(const LimitField& limit, const google::protobuf::FieldDescriptor& request);

}  // namespace capbroker::authority

#endif  // AUTHORITY_SCHEMA_COMPILER_H_
