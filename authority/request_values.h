// The values in a request, as the checks see them: read by reflection along the
// plan that the schema made, without a copy where protobuf has one already.
//
// Lives in: service processes. Thread-safe: functions without state.
#ifndef AUTHORITY_REQUEST_VALUES_H_
#define AUTHORITY_REQUEST_VALUES_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "authority/schema.h"
#include "google/protobuf/message.h"

namespace capbroker::authority {

// One value of a request field: `text`, or for numbers `number` (of an unsigned
// one the same 64 bits).
struct RequestValue {
  ValueType type = ValueType::kNone;
  absl::string_view text = {};
  int64_t number = 0;
};

// The value of a singular field. `text` lives as long as the message and `scratch`.
RequestValue ReadValue(const FieldPlan& plan, const google::protobuf::Message& message,
                       const google::protobuf::Reflection& reflection, std::string& scratch);
// The value of one element of a repeated field.
RequestValue ReadElement(const FieldPlan& plan, const google::protobuf::Message& message,
                         const google::protobuf::Reflection& reflection, int index,
                         std::string& scratch);

// Calls `visit(value)`, which returns whether to go on, for every value of `field`
// in `message`; false as soon as a visit was.
template <typename Visitor>
bool ForEachValue(const FieldPlan& field, const google::protobuf::Message& message,
                  const google::protobuf::Reflection& reflection, std::string& scratch,
                  Visitor&& visit) {
  if (!field.repeated) return visit(ReadValue(field, message, reflection, scratch));
  const int count = reflection.FieldSize(message, field.field);
  for (int i = 0; i < count; ++i) {
    if (!visit(ReadElement(field, message, reflection, i, scratch))) return false;
  }
  return true;
}

// The same for every message in `field`, which is of message type.
template <typename Visitor>
bool ForEachMessage(const FieldPlan& field, const google::protobuf::Message& message,
                    const google::protobuf::Reflection& reflection, Visitor&& visit) {
  if (!field.repeated) return visit(reflection.GetMessage(message, field.field));
  const int count = reflection.FieldSize(message, field.field);
  for (int i = 0; i < count; ++i) {
    if (!visit(reflection.GetRepeatedMessage(message, field.field, i))) return false;
  }
  return true;
}

// For people: text as it is, an address in its usual form, an enum by name.
std::string DescribeValue(const google::protobuf::FieldDescriptor& field,
                          const RequestValue& value);

// The form in which two spellings of the same value under a limit of `kind` are
// equal: "Example.ORG." and "example.org" for NAME_PATTERNS.
std::string CanonicalValue(v1::LimitKind kind, const RequestValue& value);

}  // namespace capbroker::authority

#endif  // AUTHORITY_REQUEST_VALUES_H_
