// What a service's proto says about authority, checked and compiled.
//
// The options in the proto (proto/capbroker/v1/authority.proto) are the policy:
// which limits field bounds which request field, what a method needs, what a
// family may use up. `ServiceSchema::Compile` reads them once and either gives a
// plan that Limits::Check follows for every request, or says which field is at
// fault. A field that somebody forgot to bound is an error here, before
// any request is served, and not an authority that nobody meant to give.
//
// The rules that compiling enforces:
//   - every request field, at any depth, is bounded_by a limits field of a
//     matching kind or type, or unbounded with a reason; a Descriptor field has
//     rights instead; a string, bytes, repeated or map field has a max_length;
//   - a map's bounded_by bounds its keys and, unless they are messages, its values;
//   - fields of message type are unbounded with a reason, and their own fields
//     bounded; messages of google.protobuf count as one unbounded value;
//   - request types are proto3, without extensions, and not recursive;
//   - a method that empty limits would allow says so with (unlimited);
//   - descriptors travel in unary methods only.
//
// Lives in: service processes, the broker, workers, and build-time tests.
// Immutable after Compile, so free to share between threads. Limits, budgets and
// methods point into the schema: it must outlive them.
#ifndef AUTHORITY_SCHEMA_H_
#define AUTHORITY_SCHEMA_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "capbroker/v1/authority.pb.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace capbroker::authority {

inline constexpr uint32_t kDefaultMaxMessageBytes = 4 << 20;
inline constexpr uint32_t kLargestMaxMessageBytes = 64 << 20;

// Counted values are kept in memory, so there is a bound to what can be granted.
inline constexpr uint64_t kMaxDistinctValues = 100'000;

// A field of the limits message.
struct LimitField {
  const google::protobuf::FieldDescriptor* field = nullptr;
  v1::LimitKind kind = v1::LIMIT_KIND_UNSPECIFIED;
  // A SET of text that bounds integers only: its values are decimal numbers.
  bool decimal = false;
  const std::string& name() const { return field->name(); }
};

// A field of the budget message.
struct BudgetField {
  const google::protobuf::FieldDescriptor* field = nullptr;
  v1::BudgetKind kind = v1::BUDGET_KIND_UNSPECIFIED;
  int of = -1;  // DISTINCT_VALUES: index of the limits field
  uint64_t default_value = 0;
  const std::string& name() const { return field->name(); }
};

// How the value of a request field is read.
enum class ValueType : uint8_t { kNone, kText, kPackedAddress, kSigned, kUnsigned, kEnum };

struct MessagePlan;

// What is checked of one request field. A map is a repeated field of entries, which
// are messages with a plan of their own.
struct FieldPlan {
  FieldPlan() = default;
  explicit FieldPlan(const google::protobuf::FieldDescriptor& descriptor)
      : field(&descriptor),
        repeated(descriptor.is_repeated()),
        presence(descriptor.has_presence()),
        cpp_type(descriptor.cpp_type()) {}

  const google::protobuf::FieldDescriptor* field = nullptr;
  bool repeated = false;
  bool presence = false;  // checked only when set
  ValueType type = ValueType::kNone;
  google::protobuf::FieldDescriptor::CppType cpp_type = {};
  int limit = -1;           // index of the limits field that bounds it
  uint32_t max_length = 0;  // 0: none
  const MessagePlan* nested = nullptr;
};

// What is checked of a message, besides that it has no unknown fields.
struct MessagePlan {
  const google::protobuf::Descriptor* type = nullptr;
  std::vector<FieldPlan> fields = {};
};

// A value that must be in a SET of the limits.
struct Need {
  int limit = -1;
  std::string text;    // string and bytes
  int64_t number = 0;  // enum and integer
};

// One method of a service: its place in the dispatch table and its checks.
class MethodSchema {
 public:
  const google::protobuf::MethodDescriptor& descriptor() const { return *descriptor_; }
  const std::string& name() const { return descriptor_->name(); }  // "Resolve"
  int index() const { return descriptor_->index(); }
  bool streaming() const {
    return descriptor_->client_streaming() || descriptor_->server_streaming();
  }
  // Whether the messages can carry descriptors at all.
  bool request_descriptors() const { return request_descriptors_; }
  bool response_descriptors() const { return response_descriptors_; }
  // Whether the limits don't decide on calling it.
  bool unlimited() const { return unlimited_; }

  absl::Span<const Need> needs() const { return needs_; }
  const MessagePlan& plan() const { return *plan_; }

 private:
  friend class SchemaCompiler;
  const google::protobuf::MethodDescriptor* descriptor_ = nullptr;
  const MessagePlan* plan_ = nullptr;
  std::vector<Need> needs_;
  bool unlimited_ = false;
  bool request_descriptors_ = false;
  bool response_descriptors_ = false;
};

// A service's authority, compiled.
class ServiceSchema {
 public:
  // INVALID_ARGUMENT with the full name of the field, method or message at fault.
  // A service without the `authority` option may have unlimited methods only.
  static absl::StatusOr<std::unique_ptr<const ServiceSchema>> Compile(
      const google::protobuf::ServiceDescriptor& service);

  ServiceSchema(const ServiceSchema&) = delete;
  ServiceSchema& operator=(const ServiceSchema&) = delete;
  ~ServiceSchema();

  const google::protobuf::ServiceDescriptor& descriptor() const { return *descriptor_; }
  const std::string& name() const { return descriptor_->full_name(); }
  uint32_t max_message_bytes() const { return max_message_bytes_; }

  // Null where the service declares none.
  const google::protobuf::Descriptor* limits_type() const { return limits_type_; }
  const google::protobuf::Descriptor* budget_type() const { return budget_type_; }
  absl::Span<const LimitField> limit_fields() const { return limit_fields_; }
  absl::Span<const BudgetField> budget_fields() const { return budget_fields_; }
  // Index of a limits field, or -1.
  int FindLimit(absl::string_view field) const;

  absl::Span<const MethodSchema> methods() const { return methods_; }
  // By its short name ("Resolve"); null when there is none.
  const MethodSchema* FindMethod(absl::string_view name) const;

  // Empty messages of the two types. Must not be called where the type is null.
  std::unique_ptr<google::protobuf::Message> NewLimits() const;
  std::unique_ptr<google::protobuf::Message> NewBudget() const;

 private:
  friend class SchemaCompiler;
  ServiceSchema();
  const google::protobuf::Message* PrototypeOf(const google::protobuf::Descriptor* type) const;

  const google::protobuf::ServiceDescriptor* descriptor_ = nullptr;
  const google::protobuf::Descriptor* limits_type_ = nullptr;
  const google::protobuf::Descriptor* budget_type_ = nullptr;
  // The factory's, which it looks up under a lock.
  const google::protobuf::Message* limits_prototype_ = nullptr;
  const google::protobuf::Message* budget_prototype_ = nullptr;
  uint32_t max_message_bytes_ = kDefaultMaxMessageBytes;
  std::vector<LimitField> limit_fields_;
  std::vector<BudgetField> budget_fields_;
  std::vector<MethodSchema> methods_;
  absl::flat_hash_map<std::string, int> method_index_;
  std::deque<MessagePlan> plans_;  // stable addresses
  // For types outside the generated pool.
  std::unique_ptr<google::protobuf::MessageFactory> dynamic_factory_;
};

}  // namespace capbroker::authority

#endif  // AUTHORITY_SCHEMA_H_
