#include "tests/authority/naive_check.h"

#include <arpa/inet.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "capbroker/v1/authority.pb.h"

namespace capbroker::testing {
namespace {

using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::Reflection;

// Every value as text: numbers in decimal, enums by number.
std::string Text(const Message& message, const FieldDescriptor& field, int index) {
  const Reflection& r = *message.GetReflection();
  const bool repeated = index >= 0;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(repeated ? r.GetRepeatedInt32(message, &field, index)
                                   : r.GetInt32(message, &field));
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(repeated ? r.GetRepeatedInt64(message, &field, index)
                                   : r.GetInt64(message, &field));
    case FieldDescriptor::CPPTYPE_UINT32:
      return absl::StrCat(repeated ? r.GetRepeatedUInt32(message, &field, index)
                                   : r.GetUInt32(message, &field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return absl::StrCat(repeated ? r.GetRepeatedUInt64(message, &field, index)
                                   : r.GetUInt64(message, &field));
    case FieldDescriptor::CPPTYPE_ENUM:
      return absl::StrCat(repeated ? r.GetRepeatedEnumValue(message, &field, index)
                                   : r.GetEnumValue(message, &field));
    case FieldDescriptor::CPPTYPE_STRING:
      return repeated ? r.GetRepeatedString(message, &field, index) : r.GetString(message, &field);
    default:
      return "";
  }
}

std::vector<std::string> Texts(const Message& message, const FieldDescriptor& field) {
  if (!field.is_repeated()) return {Text(message, field, -1)};
  std::vector<std::string> texts;
  for (int i = 0; i < message.GetReflection()->FieldSize(message, &field); ++i) {
    texts.push_back(Text(message, field, i));
  }
  return texts;
}

std::string LowerWithoutFinalDot(std::string name) {
  if (!name.empty() && name.back() == '.') name.pop_back();
  return absl::AsciiStrToLower(name);
}

bool NameMatches(const std::string& pattern, const std::string& value) {
  const std::string name = LowerWithoutFinalDot(value);
  if (name.empty() || name.size() > 253) return false;
  for (const std::string& label : std::vector<std::string>(absl::StrSplit(name, '.'))) {
    if (label.empty() || label.size() > 63) return false;
    for (char c : label) {
      if (!absl::ascii_isalnum(c) && !absl::StrContains("-_:%", c)) return false;
    }
  }
  const std::string wanted = LowerWithoutFinalDot(pattern);
  if (wanted == "*") return true;
  if (absl::StartsWith(wanted, "*.")) return absl::EndsWith(name, wanted.substr(1));
  return name == wanted;
}

bool PathMatches(const std::string& entry, const std::string& path) {
  if (path.empty() || path[0] != '/' || absl::StrContains(path, '\0')) return false;
  if (path != "/") {
    for (const std::string& part : std::vector<std::string>(absl::StrSplit(path.substr(1), '/'))) {
      if (part.empty() || part == "." || part == "..") return false;
    }
  }
  if (entry.back() != '/') return path == entry;
  return absl::StartsWith(path + "/", entry) || entry == "/";
}

// The bits of an address; of a mapped one those of its IPv4 address. "": no address.
std::string Bits(const std::string& text, bool packed) {
  std::string bytes(16, '\0');
  if (packed) {
    bytes = text;
  } else if (absl::StrContains(text, '\0')) {
    return "";
  } else if (inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) {
    bytes.resize(4);
  } else if (inet_pton(AF_INET6, text.c_str(), bytes.data()) != 1) {
    return "";
  }
  if (bytes.size() != 4 && bytes.size() != 16) return "";
  if (bytes.size() == 16 && bytes.substr(0, 12) == std::string(10, '\0') + "\xff\xff") {
    bytes = bytes.substr(12);
  }
  std::string bits;
  for (unsigned char byte : bytes) {
    for (int bit = 7; bit >= 0; --bit) bits.push_back((byte >> bit & 1) != 0 ? '1' : '0');
  }
  return bits;
}

bool RangeMatches(const std::string& range, const std::string& value, bool packed) {
  const std::vector<std::string> parts = absl::StrSplit(range, '/');
  const std::string wanted = Bits(parts[0], false);
  const std::string bits = Bits(value, packed);
  if (bits.empty() || bits.size() != wanted.size()) return false;
  size_t prefix = wanted.size();
  if (parts.size() == 2) {
    if (!absl::SimpleAtoi(parts[1], &prefix)) return false;
    // Written as a mapped range: its prefix counts the 96 bits before.
    if (absl::StrContains(parts[0], ':') && wanted.size() == 32) prefix -= 96;
  }
  return bits.substr(0, prefix) == wanted.substr(0, prefix);
}

bool EntryAllows(capbroker::v1::LimitKind kind, const std::string& entry,
                 const FieldDescriptor& limit, const std::string& value,
                 const FieldDescriptor& field) {
  int64_t number = 0;
  uint64_t bits = 0;
  uint64_t allowed = 0;
  switch (kind) {
    case capbroker::v1::SET:
      if (limit.cpp_type() == FieldDescriptor::CPPTYPE_STRING && entry == "*") return true;
      return entry == value;
    case capbroker::v1::NAME_PATTERNS:
      return NameMatches(entry, value);
    case capbroker::v1::PATHS:
      return PathMatches(entry, value);
    case capbroker::v1::CIDRS:
      return RangeMatches(entry, value, field.type() == FieldDescriptor::TYPE_BYTES);
    case capbroker::v1::MAXIMUM:
      if (entry == "0" || (absl::SimpleAtoi(value, &number) && number < 0)) return false;
      return absl::SimpleAtoi(value, &bits) && absl::SimpleAtoi(entry, &allowed) && bits <= allowed;
    case capbroker::v1::FLAGS:
      return absl::SimpleAtoi(value, &bits) && absl::SimpleAtoi(entry, &allowed) &&
             (bits & allowed) == bits;
    default:
      return false;
  }
}

bool ValueAllowed(const Message& limits, const std::string& bounded_by, const std::string& value,
                  const FieldDescriptor& field) {
  const FieldDescriptor& limit = *limits.GetDescriptor()->FindFieldByName(bounded_by);
  for (const std::string& entry : Texts(limits, limit)) {
    if (EntryAllows(limit.options().GetExtension(capbroker::v1::limit), entry, limit, value,
                    field)) {
      return true;
    }
  }
  return false;
}

// `bounded_by` overrides the fields' own option: of a map, for its entries.
bool MessageAllowed(const Message& limits, const Message& message,
                    const std::string& bounded_by_of_map) {
  const Reflection& reflection = *message.GetReflection();
  if (reflection.GetUnknownFields(message).field_count() != 0) return false;
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    if (field.has_presence() && !reflection.HasField(message, &field)) continue;
    const std::string bounded_by = bounded_by_of_map.empty()
                                       ? field.options().GetExtension(capbroker::v1::bounded_by)
                                       : bounded_by_of_map;
    const size_t longest = field.options().GetExtension(capbroker::v1::max_length);
    if (field.is_repeated()) {
      const size_t length = static_cast<size_t>(reflection.FieldSize(message, &field));
      if (longest != 0 && length > longest) return false;
    } else if (longest != 0 && Text(message, field, -1).size() > longest) {
      return false;
    }
    if (field.message_type() != nullptr) {
      const int count = field.is_repeated() ? reflection.FieldSize(message, &field) : 1;
      for (int j = 0; j < count; ++j) {
        const Message& nested = field.is_repeated()
                                    ? reflection.GetRepeatedMessage(message, &field, j)
                                    : reflection.GetMessage(message, &field);
        if (!MessageAllowed(limits, nested, field.is_map() ? bounded_by : "")) return false;
      }
    } else if (!bounded_by.empty()) {
      for (const std::string& value : Texts(message, field)) {
        if (!ValueAllowed(limits, bounded_by, value, field)) return false;
      }
    }
  }
  return true;
}

void CollectDistinct(const FieldDescriptor& limit, const Message& message,
                     const std::string& bounded_by_of_map, std::set<std::string>& values) {
  const Reflection& reflection = *message.GetReflection();
  const capbroker::v1::LimitKind kind = limit.options().GetExtension(capbroker::v1::limit);
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    if (field.has_presence() && !reflection.HasField(message, &field)) continue;
    const std::string bounded_by = bounded_by_of_map.empty()
                                       ? field.options().GetExtension(capbroker::v1::bounded_by)
                                       : bounded_by_of_map;
    if (field.message_type() != nullptr) {
      const int count = field.is_repeated() ? reflection.FieldSize(message, &field) : 1;
      for (int j = 0; j < count; ++j) {
        const Message& nested = field.is_repeated()
                                    ? reflection.GetRepeatedMessage(message, &field, j)
                                    : reflection.GetMessage(message, &field);
        CollectDistinct(limit, nested, field.is_map() ? bounded_by : "", values);
      }
    } else if (bounded_by == limit.name()) {
      for (const std::string& value : Texts(message, field)) {
        if (kind == capbroker::v1::NAME_PATTERNS) {
          values.insert(LowerWithoutFinalDot(value));
        } else if (kind == capbroker::v1::CIDRS) {
          values.insert(Bits(value, field.type() == FieldDescriptor::TYPE_BYTES));
        } else {
          values.insert(value);
        }
      }
    }
  }
}

bool NeedMet(const Message& limits, const capbroker::v1::Requirement& need) {
  const FieldDescriptor& limit = *limits.GetDescriptor()->FindFieldByName(need.field());
  const std::string wanted =
      limit.enum_type() == nullptr
          ? need.value()
          : absl::StrCat(limit.enum_type()->FindValueByName(need.value())->number());
  for (const std::string& entry : Texts(limits, limit)) {
    if (entry == wanted) return true;
    if (entry == "*" && limit.cpp_type() == FieldDescriptor::CPPTYPE_STRING) return true;
  }
  return false;
}

}  // namespace

bool NaivelyAllows(const Message& limits, const google::protobuf::MethodDescriptor& method,
                   const Message& request) {
  for (const capbroker::v1::Requirement& need :
       method.options().GetRepeatedExtension(capbroker::v1::needs)) {
    if (!NeedMet(limits, need)) return false;
  }
  return MessageAllowed(limits, request, "");
}

std::set<std::string> NaiveDistinctValues(const FieldDescriptor& limit, const Message& request) {
  std::set<std::string> values;
  CollectDistinct(limit, request, "", values);
  return values;
}

}  // namespace capbroker::testing
