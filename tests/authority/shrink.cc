#include "tests/authority/shrink.h"

#include "absl/strings/str_cat.h"
#include "google/protobuf/unknown_field_set.h"

namespace capbroker::testing {
namespace {

using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::Reflection;

// Makes the `step`th possible removal in `message`, counting down; whether there
// was one.
bool Remove(Message& message, int& step) {
  const Reflection& reflection = *message.GetReflection();
  if (!reflection.GetUnknownFields(message).empty() && step-- == 0) {
    reflection.MutableUnknownFields(&message)->Clear();
    return true;
  }
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (step-- == 0) {
      reflection.ClearField(&message, field);
      return true;
    }
    const int count = field->is_repeated() ? reflection.FieldSize(message, field) : 0;
    for (int i = 0; i < count; ++i) {
      if (step-- == 0) {
        reflection.SwapElements(&message, field, i, count - 1);
        reflection.RemoveLast(&message, field);
        return true;
      }
    }
    if (field->message_type() == nullptr || field->is_map()) continue;
    if (!field->is_repeated()) {
      if (Remove(*reflection.MutableMessage(&message, field), step)) return true;
      continue;
    }
    for (int i = 0; i < count; ++i) {
      if (Remove(*reflection.MutableRepeatedMessage(&message, field, i), step)) return true;
    }
  }
  return false;
}

}  // namespace

void Shrink(Case& messages, const std::function<bool(const Case&)>& fails) {
  for (bool smaller = true; smaller;) {
    smaller = false;
    for (auto& message : messages) {
      for (int step = 0;;) {
        std::unique_ptr<Message> original(message->New());
        original->CopyFrom(*message);
        int countdown = step;
        if (!Remove(*message, countdown)) break;
        if (fails(messages)) {
          smaller = true;
        } else {
          message = std::move(original);
          ++step;
        }
      }
    }
  }
}

std::string Describe(const Case& messages) {
  std::string text;
  for (const auto& message : messages) {
    absl::StrAppend(&text, "\n  ", message->GetTypeName(), " {", message->ShortDebugString(), "}");
  }
  return text;
}

}  // namespace capbroker::testing
