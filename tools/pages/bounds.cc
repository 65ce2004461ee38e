#include "tools/pages/bounds.h"

#include <algorithm>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace capbroker::tools {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

bool IsDescriptor(const FieldDescriptor& field) {
  return field.message_type() != nullptr &&
         field.message_type()->full_name() == v1::Descriptor::descriptor()->full_name();
}

// Messages of google.protobuf count as one value, as in authority/schema.h.
bool IsOpaque(const Descriptor& message) {
  return absl::StartsWith(message.full_name(), "google.protobuf.");
}

std::string TypeName(const FieldDescriptor& field) {
  if (field.message_type() != nullptr) return field.message_type()->name();
  return field.enum_type() != nullptr ? field.enum_type()->name() : field.type_name();
}

std::string TypeInWords(const FieldDescriptor& field) {
  if (field.is_map()) {
    return absl::StrCat("map<", TypeName(*field.message_type()->map_key()), ", ",
                        TypeName(*field.message_type()->map_value()), ">");
  }
  const char* const before = field.is_repeated()            ? "repeated "
                             : field.has_optional_keyword() ? "optional "
                                                            : "";
  return absl::StrCat(before, TypeName(field));
}

std::string RightsInWords(const FieldDescriptor& field) {
  if (!IsDescriptor(field)) return "";
  const v1::DescriptorRights& rights = field.options().GetExtension(v1::rights);
  std::vector<std::string> kinds;
  for (const int kind : rights.kinds()) kinds.push_back(v1::DescriptorRights::Kind_Name(kind));
  std::string words = absl::StrJoin(kinds, " or ");
  absl::StrAppend(&words,
                  rights.access() == v1::DescriptorRights::ACCESS_UNSPECIFIED
                      ? ", access as asked for"
                      : absl::StrCat(", ", v1::DescriptorRights::Access_Name(rights.access())));
  if (rights.append_only()) absl::StrAppend(&words, ", append only");
  if (rights.seals() != 0) absl::StrAppend(&words, ", seals ", rights.seals());
  if (rights.seekable()) absl::StrAppend(&words, ", seekable");
  if (rights.max_size() != 0) absl::StrAppend(&words, ", at most ", rights.max_size(), " bytes");
  if (rights.reduced()) absl::StrAppend(&words, ", reduced to that when it is sent");
  if (rights.lease() == v1::DescriptorRights::SHUT_DOWN) {
    absl::StrAppend(&words, ", leased: shut down with the channel");
  }
  return words;
}

class FieldWalk {
 public:
  explicit FieldWalk(const Descriptor* limits) : limits_(limits) {}

  void Walk(const Descriptor& message, const std::string& prefix) {
    if (!inside_.insert(&message).second) return;  // recursive: not in a checked request
    for (int i = 0; i < message.field_count(); ++i) WalkField(*message.field(i), prefix);
    inside_.erase(&message);
  }

  std::vector<BoundField> fields;

 private:
  void WalkField(const FieldDescriptor& field, const std::string& prefix) {
    BoundField bound;
    bound.path = absl::StrCat(prefix, field.name());
    bound.field = &field;
    bound.type = TypeInWords(field);
    bound.bounded_by = field.options().GetExtension(v1::bounded_by);
    bound.unbounded = field.options().GetExtension(v1::unbounded);
    bound.max_length = field.options().GetExtension(v1::max_length);
    bound.descriptor = RightsInWords(field);
    if (limits_ != nullptr && !bound.bounded_by.empty()) {
      if (const FieldDescriptor* limit = limits_->FindFieldByName(bound.bounded_by)) {
        bound.kind = limit->options().GetExtension(v1::limit);
      }
    }
    fields.push_back(bound);
    const FieldDescriptor& value = field.is_map() ? *field.message_type()->map_value() : field;
    if (value.message_type() == nullptr || IsDescriptor(value) || IsOpaque(*value.message_type())) {
      return;
    }
    Walk(*value.message_type(), absl::StrCat(bound.path, "."));
  }

  const Descriptor* const limits_;
  std::set<const Descriptor*> inside_;
};

void FindDescriptors(const Descriptor& message, const std::string& prefix,
                     std::set<const Descriptor*>& inside, std::vector<CarriedDescriptor>& found) {
  if (!inside.insert(&message).second) return;
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    const std::string path = absl::StrCat(prefix, field.name());
    if (IsDescriptor(field)) {
      const v1::DescriptorRights& rights = field.options().GetExtension(v1::rights);
      found.push_back(
          {path, RightsInWords(field), rights.lease() == v1::DescriptorRights::SHUT_DOWN});
    } else if (field.message_type() != nullptr) {
      FindDescriptors(*field.message_type(), absl::StrCat(path, "."), inside, found);
    }
  }
  inside.erase(&message);
}

const Descriptor* Find(const ServiceDescriptor& service, const std::string& name) {
  return name.empty() ? nullptr : service.file()->pool()->FindMessageTypeByName(name);
}

}  // namespace

const Descriptor* LimitsOf(const ServiceDescriptor& service) {
  return Find(service, service.options().GetExtension(v1::authority).limits());
}

const Descriptor* BudgetOf(const ServiceDescriptor& service) {
  return Find(service, service.options().GetExtension(v1::authority).budget());
}

uint32_t MaxMessageBytes(const ServiceDescriptor& service) {
  const uint32_t bytes = service.options().GetExtension(v1::authority).max_message_bytes();
  return bytes == 0 ? 4 << 20 : bytes;
}

std::vector<BoundField> RequestFields(const MethodDescriptor& method) {
  FieldWalk walk(LimitsOf(*method.service()));
  walk.Walk(*method.input_type(), "");
  return walk.fields;
}

std::vector<CarriedDescriptor> DescriptorsIn(const Descriptor& message) {
  std::set<const Descriptor*> inside;
  std::vector<CarriedDescriptor> found;
  FindDescriptors(message, "", inside, found);
  return found;
}

std::vector<Charge> ChargesOf(const MethodDescriptor& method) {
  std::vector<Charge> charges;
  const Descriptor* const budget = BudgetOf(*method.service());
  if (budget == nullptr) return charges;
  const std::vector<BoundField> fields = RequestFields(method);
  const std::vector<CarriedDescriptor> given = DescriptorsIn(*method.output_type());
  for (int i = 0; i < budget->field_count(); ++i) {
    const Charge charge = {budget->field(i), budget->field(i)->options().GetExtension(v1::budget)};
    switch (charge.rule.kind()) {
      case v1::CALLS_PER_MINUTE:
      case v1::RESPONSE_BYTES:
        charges.push_back(charge);
        break;
      case v1::DISTINCT_VALUES:
        if (std::any_of(fields.begin(), fields.end(), [&](const BoundField& field) {
              return field.bounded_by == charge.rule.of();
            })) {
          charges.push_back(charge);
        }
        break;
      case v1::OPEN_DESCRIPTORS:
        if (!given.empty()) charges.push_back(charge);
        break;
      case v1::LEASES:
        if (std::any_of(given.begin(), given.end(),
                        [](const CarriedDescriptor& descriptor) { return descriptor.leased; })) {
          charges.push_back(charge);
        }
        break;
      default:  // CLONES: charged by capbroker.v1.Capability.Clone
        break;
    }
  }
  return charges;
}

std::string LengthInWords(const BoundField& field) {
  if (field.max_length == 0) return "";
  return absl::StrCat(field.max_length, field.field->is_repeated() ? " entries" : " bytes");
}

}  // namespace capbroker::tools
