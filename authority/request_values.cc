#include "authority/request_values.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "authority/cidr_set.h"
#include "authority/name_patterns.h"
#include "google/protobuf/descriptor.h"

namespace capbroker::authority {

using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::Reflection;

RequestValue ReadValue(const FieldPlan& plan, const Message& message, const Reflection& reflection,
                       std::string& scratch) {
  const FieldDescriptor* const field = plan.field;
  RequestValue value = {.type = plan.type};
  switch (plan.cpp_type) {
    case FieldDescriptor::CPPTYPE_STRING:
      value.text = reflection.GetStringReference(message, field, &scratch);
      break;
    case FieldDescriptor::CPPTYPE_ENUM:
      value.number = reflection.GetEnumValue(message, field);
      break;
    case FieldDescriptor::CPPTYPE_INT32:
      value.number = reflection.GetInt32(message, field);
      break;
    case FieldDescriptor::CPPTYPE_INT64:
      value.number = reflection.GetInt64(message, field);
      break;
    case FieldDescriptor::CPPTYPE_UINT32:
      value.number = reflection.GetUInt32(message, field);
      break;
    case FieldDescriptor::CPPTYPE_UINT64:
      value.number = static_cast<int64_t>(reflection.GetUInt64(message, field));
      break;
    default:  // no limit bounds it, so nobody compares it
      value.type = ValueType::kNone;
  }
  return value;
}

RequestValue ReadElement(const FieldPlan& plan, const Message& message,
                         const Reflection& reflection, int index, std::string& scratch) {
  const FieldDescriptor* const field = plan.field;
  RequestValue value = {.type = plan.type};
  switch (plan.cpp_type) {
    case FieldDescriptor::CPPTYPE_STRING:
      value.text = reflection.GetRepeatedStringReference(message, field, index, &scratch);
      break;
    case FieldDescriptor::CPPTYPE_ENUM:
      value.number = reflection.GetRepeatedEnumValue(message, field, index);
      break;
    case FieldDescriptor::CPPTYPE_INT32:
      value.number = reflection.GetRepeatedInt32(message, field, index);
      break;
    case FieldDescriptor::CPPTYPE_INT64:
      value.number = reflection.GetRepeatedInt64(message, field, index);
      break;
    case FieldDescriptor::CPPTYPE_UINT32:
      value.number = reflection.GetRepeatedUInt32(message, field, index);
      break;
    case FieldDescriptor::CPPTYPE_UINT64:
      value.number = static_cast<int64_t>(reflection.GetRepeatedUInt64(message, field, index));
      break;
    default:
      value.type = ValueType::kNone;
  }
  return value;
}

std::string DescribeValue(const FieldDescriptor& field, const RequestValue& value) {
  switch (value.type) {
    case ValueType::kNone:
      return "";
    case ValueType::kText:
      return std::string(value.text);
    case ValueType::kPackedAddress:
      if (const std::optional<Address> address = Address::FromPacked(value.text)) {
        return address->ToText();
      }
      return std::string(value.text);
    case ValueType::kSigned:
      return absl::StrCat(value.number);
    case ValueType::kUnsigned:
      return absl::StrCat(static_cast<uint64_t>(value.number));
    case ValueType::kEnum: {
      const auto* named = field.enum_type()->FindValueByNumber(static_cast<int>(value.number));
      return named != nullptr ? named->name() : absl::StrCat(value.number);
    }
  }
  return "";
}

std::string CanonicalValue(v1::LimitKind kind, const RequestValue& value) {
  switch (value.type) {
    case ValueType::kNone:
      return "";
    case ValueType::kText:
      if (kind == v1::NAME_PATTERNS) {
        return NormalizeName(value.text).value_or(std::string(value.text));
      }
      if (kind == v1::CIDRS) {
        if (const auto address = Address::FromText(value.text)) return address->ToPacked();
      }
      return std::string(value.text);
    case ValueType::kPackedAddress:
      if (const auto address = Address::FromPacked(value.text)) return address->ToPacked();
      return std::string(value.text);
    case ValueType::kSigned:
    case ValueType::kEnum:
      return absl::StrCat(value.number);
    case ValueType::kUnsigned:
      return absl::StrCat(static_cast<uint64_t>(value.number));
  }
  return "";
}

}  // namespace capbroker::authority
