#include "authority/limit_value.h"

#include <charconv>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "google/protobuf/descriptor.h"

namespace capbroker::authority {
namespace {

using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::Reflection;

absl::Status Malformed(const LimitField& field, absl::string_view reason) {
  return absl::InvalidArgumentError(absl::StrCat(field.field->full_name(), ": ", reason));
}

absl::StatusOr<std::vector<std::string>> ReadTexts(const LimitField& field, const Message& limits) {
  const Reflection& reflection = *limits.GetReflection();
  const int count = reflection.FieldSize(limits, field.field);
  std::vector<std::string> texts;
  texts.reserve(count);
  for (int i = 0; i < count; ++i) {
    texts.push_back(reflection.GetRepeatedString(limits, field.field, i));
    if (texts.back().size() > kMaxLimitEntryBytes) {
      return Malformed(field, absl::StrCat("an entry is longer than ", kMaxLimitEntryBytes));
    }
  }
  return texts;
}

absl::StatusOr<std::vector<int64_t>> ReadIntegers(const LimitField& field, const Message& limits) {
  const Reflection& reflection = *limits.GetReflection();
  const int count = reflection.FieldSize(limits, field.field);
  const FieldPlan plan(*field.field);
  std::string unused;
  std::vector<int64_t> integers;
  integers.reserve(count);
  for (int i = 0; i < count; ++i) {
    const int64_t number = ReadElement(plan, limits, reflection, i, unused).number;
    if (const auto* type = field.field->enum_type(); type != nullptr) {
      // INVARIANT(empty-grants-nothing): zero is what an unset field reads as.
      if (number == 0) return Malformed(field, "the enum's zero value grants nothing");
      if (type->FindValueByNumber(static_cast<int>(number)) == nullptr) {
        return Malformed(field, absl::StrCat("unknown value ", number));
      }
    }
    integers.push_back(number);
  }
  return integers;
}

template <typename Kind>
absl::StatusOr<Kind> Named(const LimitField& field, absl::StatusOr<Kind> made) {
  if (!made.ok()) return Malformed(field, made.status().message());
  return made;
}

void WriteInteger(const FieldDescriptor* field, int64_t number, Message& limits) {
  const Reflection& reflection = *limits.GetReflection();
  const bool repeated = field->is_repeated();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM:
      reflection.AddEnumValue(&limits, field, static_cast<int>(number));
      break;
    case FieldDescriptor::CPPTYPE_INT32:
      repeated ? reflection.AddInt32(&limits, field, static_cast<int32_t>(number))
               : reflection.SetInt32(&limits, field, static_cast<int32_t>(number));
      break;
    case FieldDescriptor::CPPTYPE_INT64:
      repeated ? reflection.AddInt64(&limits, field, number)
               : reflection.SetInt64(&limits, field, number);
      break;
    case FieldDescriptor::CPPTYPE_UINT32:
      repeated ? reflection.AddUInt32(&limits, field, static_cast<uint32_t>(number))
               : reflection.SetUInt32(&limits, field, static_cast<uint32_t>(number));
      break;
    case FieldDescriptor::CPPTYPE_UINT64:
      repeated ? reflection.AddUInt64(&limits, field, static_cast<uint64_t>(number))
               : reflection.SetUInt64(&limits, field, static_cast<uint64_t>(number));
      break;
    default:  // the schema has no limits fields of other types
      break;
  }
}

bool SetAllows(const TextSet& set, const RequestValue& value) {
  if (value.type == ValueType::kText) return set.Contains(value.text);
  // A number bounded by text is compared as it is written.
  char digits[24];
  const auto end =
      value.type == ValueType::kUnsigned
          ? std::to_chars(digits, digits + sizeof(digits), static_cast<uint64_t>(value.number))
          : std::to_chars(digits, digits + sizeof(digits), value.number);
  return set.Contains(absl::string_view(digits, end.ptr - digits));
}

}  // namespace

absl::StatusOr<LimitValue> LimitValue::Read(const LimitField& field, const Message& limits) {
  const Reflection& reflection = *limits.GetReflection();
  if (field.field->is_repeated() &&
      static_cast<size_t>(reflection.FieldSize(limits, field.field)) > kMaxLimitEntries) {
    return Malformed(field, absl::StrCat("more than ", kMaxLimitEntries, " entries"));
  }
  switch (field.kind) {
    case v1::SET: {
      if (field.field->cpp_type() != FieldDescriptor::CPPTYPE_STRING) {
        CB_ASSIGN_OR_RETURN(const std::vector<int64_t> integers, ReadIntegers(field, limits));
        return LimitValue(IntegerSet(integers));
      }
      CB_ASSIGN_OR_RETURN(std::vector<std::string> texts, ReadTexts(field, limits));
      if (!field.decimal) return LimitValue(TextSet::Make(std::move(texts)));
      CB_ASSIGN_OR_RETURN(TextSet set, Named(field, TextSet::MakeDecimal(std::move(texts))));
      return LimitValue(std::move(set));
    }
    case v1::NAME_PATTERNS: {
      CB_ASSIGN_OR_RETURN(const std::vector<std::string> texts, ReadTexts(field, limits));
      CB_ASSIGN_OR_RETURN(NamePatterns names, Named(field, NamePatterns::Make(texts)));
      return LimitValue(std::move(names));
    }
    case v1::PATHS: {
      CB_ASSIGN_OR_RETURN(const std::vector<std::string> texts, ReadTexts(field, limits));
      CB_ASSIGN_OR_RETURN(PathSet paths, Named(field, PathSet::Make(texts)));
      return LimitValue(std::move(paths));
    }
    case v1::CIDRS: {
      CB_ASSIGN_OR_RETURN(const std::vector<std::string> texts, ReadTexts(field, limits));
      CB_ASSIGN_OR_RETURN(CidrSet ranges, Named(field, CidrSet::Make(texts)));
      return LimitValue(std::move(ranges));
    }
    case v1::MAXIMUM:
    case v1::FLAGS: {
      std::string unused;
      const FieldPlan plan(*field.field);
      const int64_t number = ReadValue(plan, limits, reflection, unused).number;
      if (field.kind == v1::FLAGS) return LimitValue(Flags(static_cast<uint64_t>(number)));
      const bool is_signed = field.field->cpp_type() == FieldDescriptor::CPPTYPE_INT32 ||
                             field.field->cpp_type() == FieldDescriptor::CPPTYPE_INT64;
      if (is_signed && number < 0) return Malformed(field, "a maximum must not be negative");
      return LimitValue(Maximum(static_cast<uint64_t>(number)));
    }
    default:
      return Malformed(field, "unknown kind of limit");
  }
}

void LimitValue::Write(const LimitField& field, Message& limits) const {
  std::visit(
      [&](const auto& value) {
        using Kind = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<Kind, Maximum>) {
          WriteInteger(field.field, static_cast<int64_t>(value.largest()), limits);
        } else if constexpr (std::is_same_v<Kind, Flags>) {
          WriteInteger(field.field, static_cast<int64_t>(value.bits()), limits);
        } else if constexpr (std::is_same_v<Kind, IntegerSet>) {
          for (int64_t number : value.Entries()) WriteInteger(field.field, number, limits);
        } else {
          for (std::string& entry : value.Entries()) {
            limits.GetReflection()->AddString(&limits, field.field, std::move(entry));
          }
        }
      },
      value_);
}

bool LimitValue::Allows(const RequestValue& value) const {
  switch (value_.index()) {
    case 0:
      return SetAllows(*std::get_if<TextSet>(&value_), value);
    case 1:
      return std::get_if<IntegerSet>(&value_)->Contains(value.number);
    case 2:
      return std::get_if<NamePatterns>(&value_)->Matches(value.text);
    case 3:
      return std::get_if<PathSet>(&value_)->Allows(value.text);
    case 4: {
      const CidrSet& ranges = *std::get_if<CidrSet>(&value_);
      return value.type == ValueType::kPackedAddress ? ranges.ContainsPacked(value.text)
                                                     : ranges.ContainsText(value.text);
    }
    case 5:
      if (value.type == ValueType::kSigned && value.number < 0) return false;
      return std::get_if<Maximum>(&value_)->Allows(static_cast<uint64_t>(value.number));
    case 6:
      return std::get_if<Flags>(&value_)->Allows(static_cast<uint64_t>(value.number));
    default:
      return false;
  }
}

LimitValue Meet(const LimitValue& a, const LimitValue& b) {
  return std::visit(
      [&b](const auto& mine) {
        using Kind = std::decay_t<decltype(mine)>;
        // Never of different kinds; if they were, their meet would allow nothing.
        const Kind* const other = std::get_if<Kind>(&b.value_);
        return LimitValue(other != nullptr ? Meet(mine, *other) : Kind());
      },
      a.value_);
}

bool operator==(const LimitValue& a, const LimitValue& b) { return a.value_ == b.value_; }

}  // namespace capbroker::authority
