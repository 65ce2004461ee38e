#include "authority/bounded_values.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "authority/name_patterns.h"
#include "google/protobuf/descriptor.h"

namespace capbroker::authority {
namespace {

using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::Reflection;

using Visit = absl::FunctionRef<bool(const LimitField&, const RequestValue&)>;

bool VisitMessage(const ServiceSchema& schema, const MessagePlan& plan, const Message& message,
                  std::string& scratch, Visit visit) {
  const Reflection& reflection = *message.GetReflection();
  for (const FieldPlan& field : plan.fields) {
    if (field.presence && !reflection.HasField(message, field.field)) continue;
    bool go_on = true;
    if (field.nested != nullptr) {
      go_on = ForEachMessage(field, message, reflection, [&](const Message& nested) {
        return VisitMessage(schema, *field.nested, nested, scratch, visit);
      });
    } else if (field.limit >= 0) {
      const LimitField& limit = schema.limit_fields()[static_cast<size_t>(field.limit)];
      go_on = ForEachValue(field, message, reflection, scratch,
                           [&](const RequestValue& value) { return visit(limit, value); });
    }
    if (!go_on) return false;
  }
  return true;
}

RequestValue ValueOf(const LimitField& field, const Need& need) {
  if (field.field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
    return {.type = ValueType::kText, .text = need.text};
  }
  return {.type = ValueType::kEnum, .number = need.number};
}

// The entry of a limits field of text that allows `value`.
std::string EntryFor(const LimitField& field, const RequestValue& value) {
  if (value.type == ValueType::kText && field.kind == v1::NAME_PATTERNS) {
    return NormalizeName(value.text).value_or("");
  }
  return DescribeValue(*field.field, value);
}

}  // namespace

void VisitBoundedValues(const ServiceSchema& schema, const MethodSchema& method,
                        const Message& request, Visit visit) {
  for (const Need& need : method.needs()) {
    const LimitField& field = schema.limit_fields()[static_cast<size_t>(need.limit)];
    if (!visit(field, ValueOf(field, need))) return;
  }
  std::string scratch;
  VisitMessage(schema, method.plan(), request, scratch, visit);
}

bool HasEntryOfItsOwn(const LimitField& field, const RequestValue& value) {
  if (field.field->cpp_type() != FieldDescriptor::CPPTYPE_STRING) return true;
  const std::string entry = EntryFor(field, value);
  switch (field.kind) {
    case v1::NAME_PATTERNS:
      return !entry.empty();
    case v1::PATHS:
      return entry != "/";
    case v1::SET:
      return entry != "*";
    default:
      return true;
  }
}

std::string TextOfValue(const LimitField& field, const RequestValue& value) {
  if (field.field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
    return absl::StrCat("\"", absl::CEscape(EntryFor(field, value)), "\"");
  }
  if (const auto* type = field.field->enum_type(); type != nullptr) {
    const auto* named = type->FindValueByNumber(static_cast<int>(value.number));
    if (named != nullptr) return named->name();
  }
  return value.type == ValueType::kUnsigned ? absl::StrCat(static_cast<uint64_t>(value.number))
                                            : absl::StrCat(value.number);
}

}  // namespace capbroker::authority
