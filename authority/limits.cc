#include "authority/limits.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "authority/bounded_values.h"
#include "authority/cidr_set.h"
#include "authority/name_patterns.h"
#include "base/status_macros.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"

namespace capbroker::authority {
namespace {

using ::google::protobuf::Message;
using ::google::protobuf::Reflection;

absl::Status WrongLimits(const ServiceSchema& schema, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("limits of ", schema.name(), ": ", what));
}

absl::Status NoLimits(const ServiceSchema& schema) {
  return WrongLimits(schema, "the service declares none");
}

bool NeedMet(const Need& need, const LimitValue& value) {
  if (const auto* set = value.As<TextSet>()) return set->Contains(need.text);
  if (const auto* set = value.As<IntegerSet>()) return set->Contains(need.number);
  return false;
}

// One request's way through its plan: makes nothing until something is refused.
class RequestCheck {
 public:
  explicit RequestCheck(const std::vector<LimitValue>& limits) : limits_(limits) {}

  bool Allows(const MessagePlan& plan, const Message& message) {
    const Reflection& reflection = *message.GetReflection();
    if (!reflection.GetUnknownFields(message).empty()) [[unlikely]] {
      return Refuse(v1::Denial::UNKNOWN_FIELD, plan.type->name());
    }
    for (const FieldPlan& field : plan.fields) {
      if (field.presence && !reflection.HasField(message, field.field)) continue;
      if (!AllowsField(field, message, reflection)) [[unlikely]]
        return false;
    }
    return true;
  }

  // Why Allows said no.
  Refusal TakeRefusal(const ServiceSchema& schema, const MethodSchema& method) {
    const absl::string_view field =
        limit_ < 0 ? field_ : absl::string_view(schema.limit_fields()[limit_].name());
    return MakeRefusal(reason_, field, method.name(), value_);
  }

 private:
  bool AllowsField(const FieldPlan& field, const Message& message, const Reflection& reflection) {
    if (field.repeated && field.max_length != 0 &&
        static_cast<uint32_t>(reflection.FieldSize(message, field.field)) > field.max_length) {
      return Refuse(v1::Denial::TOO_LONG, field.field->name());
    }
    if (field.nested != nullptr) {
      return ForEachMessage(field, message, reflection,
                            [&](const Message& nested) { return Allows(*field.nested, nested); });
    }
    if (field.limit < 0 && field.repeated) return true;  // only its length was bounded
    return ForEachValue(field, message, reflection, scratch_,
                        [&](const RequestValue& value) { return AllowsValue(field, value); });
  }

  bool AllowsValue(const FieldPlan& field, const RequestValue& value) {
    if (!field.repeated && field.max_length != 0 && value.text.size() > field.max_length) {
      return Refuse(v1::Denial::TOO_LONG, field.field->name());
    }
    // INVARIANT(name-checked-before-look): before any handler sees the request.
    if (field.limit < 0 || limits_[field.limit].Allows(value)) [[likely]]
      return true;
    limit_ = field.limit;
    value_ = DescribeValue(*field.field, value);
    return Refuse(v1::Denial::NOT_IN_LIMITS, "");
  }

  bool Refuse(v1::Denial::Reason reason, absl::string_view field) {
    reason_ = reason;
    field_ = field;
    return false;
  }

  const std::vector<LimitValue>& limits_;
  std::string scratch_;
  v1::Denial::Reason reason_ = v1::Denial::REASON_UNSPECIFIED;
  int limit_ = -1;
  absl::string_view field_;
  std::string value_;
};

class TextErrors : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (first_.empty()) first_ = absl::StrCat(line + 1, ":", column + 1, ": ", message);
  }
  void AddWarning(int, int, const std::string&) override {}
  const std::string& first() const { return first_; }

 private:
  std::string first_;
};

}  // namespace

Limits::Limits(const ServiceSchema& schema, std::vector<LimitValue> values)
    : schema_(&schema), values_(std::move(values)) {
  if (schema.limits_type() != nullptr) {
    message_ = schema.NewLimits();
    for (size_t i = 0; i < values_.size(); ++i) {
      values_[i].Write(schema.limit_fields()[i], *message_);
    }
  }
  for (const MethodSchema& method : schema.methods()) {
    int unmet = -1;
    for (size_t i = 0; i < method.needs().size() && unmet < 0; ++i) {
      const Need& need = method.needs()[i];
      if (!NeedMet(need, values_[need.limit])) unmet = static_cast<int>(i);
    }
    unmet_need_.push_back(unmet);
  }
}

absl::StatusOr<std::shared_ptr<const Limits>> Limits::Compile(const ServiceSchema& schema,
                                                              const Message& limits) {
  if (schema.limits_type() == nullptr) return NoLimits(schema);
  if (limits.GetDescriptor() != schema.limits_type()) {
    return WrongLimits(schema, absl::StrCat("a ", limits.GetTypeName(), " is given"));
  }
  const Reflection& reflection = *limits.GetReflection();
  if (!reflection.GetUnknownFields(limits).empty()) {
    return WrongLimits(schema, absl::StrCat("unknown field ",
                                            reflection.GetUnknownFields(limits).field(0).number()));
  }
  if (limits.ByteSizeLong() > kMaxLimitsBytes) {
    return WrongLimits(schema, absl::StrCat("larger than ", kMaxLimitsBytes, " bytes"));
  }
  std::vector<LimitValue> values;
  for (const LimitField& field : schema.limit_fields()) {
    CB_ASSIGN_OR_RETURN(LimitValue value, LimitValue::Read(field, limits));
    values.push_back(std::move(value));
  }
  return std::shared_ptr<const Limits>(new Limits(schema, std::move(values)));
}

// TRUST(worker): `limits` comes from a Narrow request.
absl::StatusOr<std::shared_ptr<const Limits>> Limits::Compile(const ServiceSchema& schema,
                                                              const google::protobuf::Any& limits) {
  if (schema.limits_type() == nullptr) return NoLimits(schema);
  const absl::string_view url = limits.type_url();
  if (url.substr(url.rfind('/') + 1) != schema.limits_type()->full_name() ||
      url.find('/') == absl::string_view::npos) {
    return WrongLimits(schema, "a message of another type is given");
  }
  if (!limits.GetReflection()->GetUnknownFields(limits).empty()) {
    return WrongLimits(schema, "unknown field beside the message");
  }
  return CompileBytes(schema, limits.value());
}

absl::StatusOr<std::shared_ptr<const Limits>> Limits::CompileBytes(const ServiceSchema& schema,
                                                                   absl::string_view serialized) {
  if (schema.limits_type() == nullptr) return NoLimits(schema);
  if (serialized.size() > kMaxLimitsBytes) {
    return WrongLimits(schema, absl::StrCat("larger than ", kMaxLimitsBytes, " bytes"));
  }
  const std::unique_ptr<Message> message = schema.NewLimits();
  if (!message->ParseFromArray(serialized.data(), static_cast<int>(serialized.size()))) {
    return WrongLimits(schema, "not a message of that type");
  }
  return Compile(schema, *message);
}

absl::StatusOr<std::shared_ptr<const Limits>> Limits::CompileText(const ServiceSchema& schema,
                                                                  absl::string_view text) {
  if (schema.limits_type() == nullptr) return NoLimits(schema);
  const std::unique_ptr<Message> message = schema.NewLimits();
  TextErrors errors;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&errors);
  if (!parser.ParseFromString(std::string(text), message.get())) {
    return WrongLimits(schema, errors.first());
  }
  return Compile(schema, *message);
}

std::shared_ptr<const Limits> Limits::Nothing(const ServiceSchema& schema) {
  std::vector<LimitValue> values;
  if (schema.limits_type() != nullptr) {
    const std::unique_ptr<Message> empty = schema.NewLimits();
    for (const LimitField& field : schema.limit_fields()) {
      // An empty message has no entry that could be malformed.
      values.push_back(*LimitValue::Read(field, *empty));
    }
  }
  return std::shared_ptr<const Limits>(new Limits(schema, std::move(values)));
}

bool Limits::AllowsMethod(const MethodSchema& method) const {
  // A method of another schema has no place in the table.
  const size_t index = static_cast<size_t>(method.index());
  return index < unmet_need_.size() && &schema_->methods()[index] == &method &&
         unmet_need_[index] < 0;
}

// TRUST(worker): `request` is as it was parsed from what the worker sent.
std::optional<Refusal> Limits::Check(const MethodSchema& method, const Message& request) const {
  if (!AllowsMethod(method) || request.GetDescriptor() != method.plan().type) [[unlikely]] {
    return RefuseMethod(method);
  }
  RequestCheck check(values_);
  if (!check.Allows(method.plan(), request)) [[unlikely]]
    return check.TakeRefusal(*schema_, method);
  if (watcher_ != nullptr) [[unlikely]] {
    VisitBoundedValues(*schema_, method, request,
                       [this](const LimitField& field, const RequestValue& value) {
                         (*watcher_)(field, value);
                         return true;
                       });
  }
  return std::nullopt;
}

std::optional<Refusal> Limits::CheckMethod(const MethodSchema& method) const {
  return AllowsMethod(method) ? std::nullopt : RefuseMethod(method);
}

std::optional<Refusal> Limits::RefuseMethod(const MethodSchema& method) const {
  absl::string_view field;
  const size_t index = static_cast<size_t>(method.index());
  if (index < unmet_need_.size() && &schema_->methods()[index] == &method &&
      unmet_need_[index] >= 0) {
    field = schema_->limit_fields()[method.needs()[unmet_need_[index]].limit].name();
  }
  return MakeRefusal(v1::Denial::METHOD_NOT_ALLOWED, field, method.name());
}

google::protobuf::Any Limits::ToAny() const {
  google::protobuf::Any any;
  if (message_ != nullptr) any.PackFrom(*message_);
  return any;
}

const LimitValue* Limits::Find(absl::string_view field) const {
  const int index = schema_->FindLimit(field);
  return index < 0 ? nullptr : &values_[index];
}

// Of a field that has another kind, or does not exist, nothing is allowed.
template <typename Kind>
bool Limits::AllowsObject(absl::string_view field, const RequestValue& value) const {
  const int index = schema_->FindLimit(field);
  if (index < 0 || values_[index].As<Kind>() == nullptr || !values_[index].Allows(value)) {
    return false;
  }
  if (watcher_ != nullptr) [[unlikely]]
    (*watcher_)(schema_->limit_fields()[index], value);
  return true;
}

bool Limits::MatchesName(absl::string_view field, absl::string_view name) const {
  return AllowsObject<NamePatterns>(field, {.type = ValueType::kText, .text = name});
}
bool Limits::ContainsAddress(absl::string_view field, absl::string_view packed) const {
  return AllowsObject<CidrSet>(field, {.type = ValueType::kPackedAddress, .text = packed});
}
bool Limits::SetContains(absl::string_view field, absl::string_view value) const {
  return AllowsObject<TextSet>(field, {.type = ValueType::kText, .text = value});
}
bool Limits::SetContains(absl::string_view field, int64_t value) const {
  const RequestValue number = {.type = ValueType::kSigned, .number = value};
  return AllowsObject<IntegerSet>(field, number) || AllowsObject<TextSet>(field, number);
}
bool Limits::WithinMaximum(absl::string_view field, uint64_t value) const {
  return AllowsObject<Maximum>(
      field, {.type = ValueType::kUnsigned, .number = static_cast<int64_t>(value)});
}
bool Limits::HasFlags(absl::string_view field, uint64_t flags) const {
  return AllowsObject<Flags>(field,
                             {.type = ValueType::kUnsigned, .number = static_cast<int64_t>(flags)});
}

bool Limits::CoversDirectory(absl::string_view field, absl::string_view path) const {
  const std::optional<PathSet::Coverage> coverage = paths(field).Cover(path);
  if (!coverage || !coverage->directory) return false;
  if (watcher_ != nullptr) [[unlikely]] {
    const std::string entry = path == "/" ? "/" : absl::StrCat(path, "/");
    (*watcher_)(schema_->limit_fields()[schema_->FindLimit(field)],
                {.type = ValueType::kText, .text = entry});
  }
  return true;
}

const PathSet& Limits::paths(absl::string_view field) const {
  static const PathSet* const nothing = new PathSet();
  const LimitValue* const value = Find(field);
  const PathSet* const found = value != nullptr ? value->As<PathSet>() : nullptr;
  return found != nullptr ? *found : *nothing;
}

std::shared_ptr<const Limits> Limits::Watched(std::shared_ptr<const Watcher> watcher) const {
  const std::shared_ptr<Limits> watched(new Limits(*schema_, values_));
  watched->watcher_ = std::move(watcher);
  return watched;
}

std::shared_ptr<const Limits> Meet(const Limits& a, const Limits& b) {
  if (a.schema_ != b.schema_) return Limits::Nothing(*a.schema_);
  std::vector<LimitValue> values;
  values.reserve(a.values_.size());
  // INVARIANT(limits-never-widen): field by field, and each field's meet is below both.
  for (size_t i = 0; i < a.values_.size(); ++i) {
    values.push_back(Meet(a.values_[i], b.values_[i]));
  }
  return std::shared_ptr<const Limits>(new Limits(*a.schema_, std::move(values)));
}

absl::StatusOr<std::shared_ptr<const Limits>> Narrow(const Limits& in_force,
                                                     const Limits& requested) {
  std::shared_ptr<const Limits> meet = Meet(in_force, requested);
  if (meet->message() == nullptr) return meet;
  bool too_large = meet->message()->ByteSizeLong() > kMaxLimitsBytes;
  for (const LimitField& field : meet->schema().limit_fields()) {
    if (!field.field->is_repeated()) continue;
    const int entries = meet->message()->GetReflection()->FieldSize(*meet->message(), field.field);
    too_large = too_large || static_cast<size_t>(entries) > kMaxLimitEntries;
  }
  if (too_large) {
    return absl::ResourceExhaustedError(
        absl::StrCat("limits of ", meet->schema().name(), ": the meet is too large"));
  }
  return meet;
}

std::vector<std::string> WithoutEffect(const Limits& requested, const Limits& in_force) {
  std::vector<std::string> fields;
  if (requested.schema_ != in_force.schema_) return fields;
  for (size_t i = 0; i < requested.values_.size(); ++i) {
    const LimitValue& value = requested.values_[i];
    if (!(Meet(value, in_force.values_[i]) == value)) {
      fields.push_back(requested.schema_->limit_fields()[i].name());
    }
  }
  return fields;
}

}  // namespace capbroker::authority
