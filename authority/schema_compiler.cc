#include "authority/schema_compiler.h"

#include <cstdint>
#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "authority/descriptor_rights.h"
#include "base/status_macros.h"

namespace capbroker::authority {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::FileDescriptor;
using ::google::protobuf::MethodDescriptor;

absl::Status Fault(absl::string_view full_name, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(full_name, ": ", what));
}

bool IsProto3(const Descriptor& type) {
  return type.file()->syntax() == FileDescriptor::SYNTAX_PROTO3;
}

bool IsText(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_STRING;
}
bool IsMessage(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
}
bool IsSigned(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_INT32 ||
         field.cpp_type() == FieldDescriptor::CPPTYPE_INT64;
}
bool IsUnsigned(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_UINT32 ||
         field.cpp_type() == FieldDescriptor::CPPTYPE_UINT64;
}
bool IsEnum(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM;
}

// Messages of protobuf itself, and Descriptor, whose fields have no options of ours.
bool IsOpaque(const Descriptor& type) {
  return absl::StartsWith(type.full_name(), "google.protobuf.") ||
         type.full_name() == v1::Descriptor::descriptor()->full_name();
}

// Whether a limits field of this type can be of `kind`.
bool FitsKind(const FieldDescriptor& field, v1::LimitKind kind) {
  const bool repeated = field.is_repeated() && !field.is_map();
  switch (kind) {
    case v1::SET:
      return repeated && (IsText(field) || IsSigned(field) || IsUnsigned(field) || IsEnum(field));
    case v1::NAME_PATTERNS:
    case v1::CIDRS:
      return repeated && field.type() == FieldDescriptor::TYPE_STRING;
    case v1::PATHS:
      return repeated && field.type() == FieldDescriptor::TYPE_BYTES;
    case v1::MAXIMUM:
      return !field.is_repeated() && (IsSigned(field) || IsUnsigned(field));
    case v1::FLAGS:
      return !field.is_repeated() && IsUnsigned(field);
    default:
      return false;
  }
}

// Whether the values of the field can be absent without anything being checked.
bool AlwaysChecked(const FieldPlan& field, const std::vector<LimitField>& limits) {
  return field.limit >= 0 && !field.repeated && !field.presence &&
         limits[field.limit].kind != v1::FLAGS;  // a value of no bits is always allowed
}

}  // namespace

ValueType MatchTypes(const LimitField& limit, const FieldDescriptor& request) {
  switch (limit.kind) {
    case v1::SET:
      if (IsText(*limit.field)) {
        if (IsText(request)) return ValueType::kText;
        if (IsSigned(request)) return ValueType::kSigned;
        return IsUnsigned(request) ? ValueType::kUnsigned : ValueType::kNone;
      }
      if (IsEnum(*limit.field)) {
        return IsEnum(request) && request.enum_type() == limit.field->enum_type()
                   ? ValueType::kEnum
                   : ValueType::kNone;
      }
      if (IsSigned(*limit.field) && IsSigned(request)) return ValueType::kSigned;
      return IsUnsigned(*limit.field) && IsUnsigned(request) ? ValueType::kUnsigned
                                                             : ValueType::kNone;
    case v1::NAME_PATTERNS:
      return request.type() == FieldDescriptor::TYPE_STRING ? ValueType::kText : ValueType::kNone;
    case v1::PATHS:
      return IsText(request) ? ValueType::kText : ValueType::kNone;
    case v1::CIDRS:
      if (request.type() == FieldDescriptor::TYPE_BYTES) return ValueType::kPackedAddress;
      return IsText(request) ? ValueType::kText : ValueType::kNone;
    case v1::MAXIMUM:
      if (IsSigned(request)) return ValueType::kSigned;
      return IsUnsigned(request) ? ValueType::kUnsigned : ValueType::kNone;
    case v1::FLAGS:
      return IsUnsigned(request) ? ValueType::kUnsigned : ValueType::kNone;
    default:
      return ValueType::kNone;
  }
}

SchemaCompiler::SchemaCompiler(const google::protobuf::ServiceDescriptor& service)
    : service_(service), schema_(new ServiceSchema()) {}

absl::StatusOr<std::unique_ptr<const ServiceSchema>> SchemaCompiler::Compile() {
  schema_->descriptor_ = &service_;
  CB_RETURN_IF_ERROR(CompileMessageTypes());
  CB_RETURN_IF_ERROR(CompileLimits());
  CB_RETURN_IF_ERROR(CompileMethods());
  CB_RETURN_IF_ERROR(CompileBudget());
  MarkDecimalSets();
  return std::unique_ptr<const ServiceSchema>(std::move(schema_));
}

absl::Status SchemaCompiler::CompileMessageTypes() {
  const v1::ServiceAuthority& authority = service_.options().GetExtension(v1::authority);
  const auto find = [this](const std::string& name, const Descriptor*& type,
                           const google::protobuf::Message*& prototype) -> absl::Status {
    if (name.empty()) return absl::OkStatus();
    type = service_.file()->pool()->FindMessageTypeByName(name);
    if (type == nullptr) {
      return Fault(service_.full_name(), absl::StrCat("no message \"", name, "\" is known"));
    }
    if (!IsProto3(*type)) return Fault(name, "is not proto3");
    prototype = schema_->PrototypeOf(type);
    return absl::OkStatus();
  };
  CB_RETURN_IF_ERROR(find(authority.limits(), schema_->limits_type_, schema_->limits_prototype_));
  CB_RETURN_IF_ERROR(find(authority.budget(), schema_->budget_type_, schema_->budget_prototype_));
  if (authority.max_message_bytes() > kLargestMaxMessageBytes) {
    return Fault(service_.full_name(),
                 absl::StrCat("max_message_bytes is more than ", kLargestMaxMessageBytes));
  }
  if (authority.max_message_bytes() != 0) {
    schema_->max_message_bytes_ = authority.max_message_bytes();
  }
  return absl::OkStatus();
}

absl::Status SchemaCompiler::CompileLimits() {
  if (schema_->limits_type_ == nullptr) return absl::OkStatus();
  for (int i = 0; i < schema_->limits_type_->field_count(); ++i) {
    const FieldDescriptor& field = *schema_->limits_type_->field(i);
    const v1::LimitKind kind = field.options().GetExtension(v1::limit);
    if (kind == v1::LIMIT_KIND_UNSPECIFIED) {
      return Fault(field.full_name(), "is in a limits message and has no (capbroker.v1.limit)");
    }
    if (field.has_presence()) {
      // INVARIANT(empty-grants-nothing): there must be one way only to be unset.
      return Fault(field.full_name(), "must be neither optional nor in a oneof");
    }
    if (!FitsKind(field, kind)) {
      return Fault(field.full_name(),
                   absl::StrCat("its type cannot be of the kind ", v1::LimitKind_Name(kind)));
    }
    schema_->limit_fields_.push_back({.field = &field, .kind = kind});
  }
  bounds_.resize(schema_->limit_fields_.size());
  return absl::OkStatus();
}

absl::Status SchemaCompiler::CompileMethods() {
  for (int i = 0; i < service_.method_count(); ++i) {
    const MethodDescriptor& descriptor = *service_.method(i);
    MethodSchema method;
    method.descriptor_ = &descriptor;
    CB_ASSIGN_OR_RETURN(method.plan_, PlanOf(*descriptor.input_type()));
    for (const v1::Requirement& requirement :
         descriptor.options().GetRepeatedExtension(v1::needs)) {
      CB_RETURN_IF_ERROR(CompileNeed(descriptor, requirement, method.needs_));
    }

    method.unlimited_ = descriptor.options().HasExtension(v1::unlimited);
    if (method.unlimited_ && descriptor.options().GetExtension(v1::unlimited).empty()) {
      return Fault(descriptor.full_name(), "(capbroker.v1.unlimited) gives no reason");
    }
    if (method.unlimited_ && !method.needs_.empty()) {
      return Fault(descriptor.full_name(), "is unlimited, and needs something of the limits");
    }
    bool limited = !method.needs_.empty();
    for (const FieldPlan& field : method.plan_->fields) {
      // A stream of requests may have none.
      limited = limited ||
                (!descriptor.client_streaming() && AlwaysChecked(field, schema_->limit_fields_));
    }
    // INVARIANT(empty-grants-nothing): unless the method says so, empty limits refuse it.
    if (!limited && !method.unlimited_) {
      return Fault(descriptor.full_name(),
                   "empty limits would allow it: it has neither needs, nor a bounded field that "
                   "every request has, nor (capbroker.v1.unlimited)");
    }

    CB_ASSIGN_OR_RETURN(method.request_descriptors_,
                        CarriesDescriptors(*descriptor.input_type(), Direction::kRequest));
    CB_ASSIGN_OR_RETURN(method.response_descriptors_,
                        CarriesDescriptors(*descriptor.output_type(), Direction::kResponse));
    if (method.streaming() && (method.request_descriptors_ || method.response_descriptors_)) {
      return Fault(descriptor.full_name(), "is streaming, and its messages carry descriptors");
    }
    schema_->method_index_[descriptor.name()] = i;
    schema_->methods_.push_back(std::move(method));
  }
  return absl::OkStatus();
}

absl::Status SchemaCompiler::CompileNeed(const MethodDescriptor& method,
                                         const v1::Requirement& requirement,
                                         std::vector<Need>& needs) {
  Need need;
  need.limit = schema_->FindLimit(requirement.field());
  if (need.limit < 0 || schema_->limit_fields_[need.limit].kind != v1::SET) {
    return Fault(method.full_name(), absl::StrCat("needs \"", requirement.field(),
                                                  "\", which is no SET of the limits"));
  }
  const FieldDescriptor& field = *schema_->limit_fields_[need.limit].field;
  const std::string& value = requirement.value();
  bool known = true;
  if (IsEnum(field)) {
    const auto* named = field.enum_type()->FindValueByName(value);
    known = named != nullptr && named->number() != 0;
    need.number = known ? named->number() : 0;
  } else if (IsSigned(field)) {
    known = absl::SimpleAtoi(value, &need.number);
  } else if (IsUnsigned(field)) {
    uint64_t number = 0;
    known = absl::SimpleAtoi(value, &number);
    need.number = static_cast<int64_t>(number);
  } else {
    known = !value.empty() && value != "*";
    need.text = value;
  }
  if (!known) {
    return Fault(method.full_name(),
                 absl::StrCat("needs \"", value, "\", which is no value of ", field.full_name()));
  }
  needs.push_back(std::move(need));
  return absl::OkStatus();
}

absl::StatusOr<const MessagePlan*> SchemaCompiler::PlanOf(const Descriptor& type) {
  const auto [known, inserted] = plans_.try_emplace(&type, nullptr);
  if (!inserted) {
    if (known->second == nullptr) {
      return Fault(type.full_name(), "is a recursive type, and in a request");
    }
    return known->second;
  }
  if (!IsProto3(type)) return Fault(type.full_name(), "is in a request and not proto3");
  MessagePlan plan = {.type = &type};
  for (int i = 0; i < type.field_count(); ++i) {
    CB_ASSIGN_OR_RETURN(FieldPlan field, PlanField(*type.field(i)));
    const bool nothing = field.limit < 0 && field.nested == nullptr && field.max_length == 0;
    if (!nothing) plan.fields.push_back(field);
  }
  schema_->plans_.push_back(std::move(plan));
  return plans_[&type] = &schema_->plans_.back();
}

absl::StatusOr<FieldPlan> SchemaCompiler::PlanField(const FieldDescriptor& field) {
  const google::protobuf::FieldOptions& options = field.options();
  const std::string& bounded_by = options.GetExtension(v1::bounded_by);
  const std::string& unbounded = options.GetExtension(v1::unbounded);
  FieldPlan plan(field);
  plan.max_length = options.GetExtension(v1::max_length);
  const bool has_length = plan.repeated || IsText(field);
  if (plan.max_length != 0 && !has_length) {
    return Fault(field.full_name(), "has a max_length, but no length");
  }
  if (field.is_map()) {
    CB_ASSIGN_OR_RETURN(plan.nested, PlanMapEntry(field));
  } else if (IsMessage(field)) {
    CB_ASSIGN_OR_RETURN(plan.nested, PlanOf(*field.message_type()));
  }
  // They are one value, decided on as a whole where they are used.
  if (IsOpaque(*field.containing_type())) return plan;

  if (plan.max_length == 0 && has_length) {
    return Fault(field.full_name(), "is text or repeated, and has no (capbroker.v1.max_length)");
  }
  const bool bounded = options.HasExtension(v1::bounded_by);
  const bool exempted = options.HasExtension(v1::unbounded);
  // A descriptor's rights say enough; that it has some is checked with the methods.
  if (!bounded && !exempted && !IsDescriptorField(field)) {
    return Fault(field.full_name(),
                 "is in a request, and is neither bounded_by a limit nor unbounded with a reason");
  }
  if (bounded && exempted) return Fault(field.full_name(), "is both bounded_by and unbounded");
  if (exempted && unbounded.empty()) {
    return Fault(field.full_name(), "(capbroker.v1.unbounded) gives no reason");
  }
  if (bounded && !field.is_map()) {
    CB_RETURN_IF_ERROR(PlanBound(field, bounded_by, plan));
  }
  return plan;
}

absl::Status SchemaCompiler::PlanBound(const FieldDescriptor& field, const std::string& bounded_by,
                                       FieldPlan& plan) {
  plan.limit = schema_->FindLimit(bounded_by);
  if (plan.limit < 0) {
    return Fault(field.full_name(), absl::StrCat("is bounded_by \"", bounded_by,
                                                 "\", which is no field of the limits"));
  }
  const LimitField& limit = schema_->limit_fields_[plan.limit];
  plan.type = MatchTypes(limit, field);
  if (plan.type == ValueType::kNone) {
    return Fault(field.full_name(),
                 absl::StrCat("its type cannot be bounded by ", limit.field->full_name(), ", a ",
                              limit.field->type_name(), " ", v1::LimitKind_Name(limit.kind)));
  }
  if (IsText(field)) {
    bounds_[plan.limit].text = true;
  } else {
    bounds_[plan.limit].integers = true;
  }
  return absl::OkStatus();
}

absl::StatusOr<const MessagePlan*> SchemaCompiler::PlanMapEntry(const FieldDescriptor& map) {
  const std::string& bounded_by = map.options().GetExtension(v1::bounded_by);
  MessagePlan plan = {.type = map.message_type()};
  for (const FieldDescriptor* field :
       {map.message_type()->map_key(), map.message_type()->map_value()}) {
    FieldPlan part(*field);
    part.presence = false;  // an entry always has both, set or not
    if (IsMessage(*field)) {
      CB_ASSIGN_OR_RETURN(part.nested, PlanOf(*field->message_type()));
    } else if (map.options().HasExtension(v1::bounded_by)) {
      if (absl::Status status = PlanBound(*field, bounded_by, part); !status.ok()) {
        return Fault(map.full_name(), status.message());
      }
    } else {
      continue;
    }
    plan.fields.push_back(part);
  }
  schema_->plans_.push_back(std::move(plan));
  return &schema_->plans_.back();
}

absl::Status SchemaCompiler::CompileBudget() {
  if (schema_->budget_type_ == nullptr) return absl::OkStatus();
  for (int i = 0; i < schema_->budget_type_->field_count(); ++i) {
    CB_RETURN_IF_ERROR(CompileBudgetField(*schema_->budget_type_->field(i)));
  }
  return absl::OkStatus();
}

absl::Status SchemaCompiler::CompileBudgetField(const FieldDescriptor& field) {
  const v1::BudgetRule& rule = field.options().GetExtension(v1::budget);
  BudgetField compiled = {
      .field = &field, .kind = rule.kind(), .default_value = rule.default_value()};
  if (rule.kind() == v1::BUDGET_KIND_UNSPECIFIED || !v1::BudgetKind_IsValid(rule.kind())) {
    return Fault(field.full_name(), "is in a budget message and has no (capbroker.v1.budget)");
  }
  if (field.is_repeated() || field.has_presence() || !IsUnsigned(field)) {
    return Fault(field.full_name(), "a budget must be a single uint32 or uint64");
  }
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_UINT32 &&
      rule.default_value() > std::numeric_limits<uint32_t>::max()) {
    return Fault(field.full_name(), "its default value does not fit into its type");
  }
  if (rule.kind() == v1::DISTINCT_VALUES) {
    compiled.of = schema_->FindLimit(rule.of());
    const bool bounds_something =
        compiled.of >= 0 && (bounds_[compiled.of].text || bounds_[compiled.of].integers);
    if (!bounds_something) {
      return Fault(field.full_name(),
                   absl::StrCat("is of \"", rule.of(), "\", which bounds no request field"));
    }
    if (rule.default_value() > kMaxDistinctValues) {
      return Fault(field.full_name(),
                   absl::StrCat("its default value is more than ", kMaxDistinctValues));
    }
  } else if (!rule.of().empty()) {
    return Fault(field.full_name(), "only DISTINCT_VALUES are \"of\" something");
  }
  for (const BudgetField& other : schema_->budget_fields_) {
    if (other.kind == compiled.kind && other.of == compiled.of) {
      return Fault(field.full_name(), absl::StrCat("bounds the same as ", other.name()));
    }
  }
  schema_->budget_fields_.push_back(compiled);
  return absl::OkStatus();
}

// Numbers bounded by text are written in one way only. Where a set bounds nothing
// but numbers, an entry written otherwise is a mistake, and can be told.
void SchemaCompiler::MarkDecimalSets() {
  for (size_t i = 0; i < bounds_.size(); ++i) {
    LimitField& limit = schema_->limit_fields_[i];
    limit.decimal =
        limit.kind == v1::SET && IsText(*limit.field) && bounds_[i].integers && !bounds_[i].text;
  }
}

}  // namespace capbroker::authority
