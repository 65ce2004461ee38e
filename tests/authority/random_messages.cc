#include "tests/authority/random_messages.h"

#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/unknown_field_set.h"

namespace capbroker::testing {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::Reflection;

std::unique_ptr<Message> New(const Descriptor* type) {
  return std::unique_ptr<Message>(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
}

bool IsDecimalSet(const FieldDescriptor& limit) {
  return limit.name() == "id_texts" || limit.name() == "group_ids";
}

}  // namespace

uint64_t SeedFromEnvironment() {
  const char* const text = std::getenv("CAPBROKER_SEED");
  uint64_t seed = 0;
  if (text != nullptr && absl::SimpleAtoi(text, &seed)) return seed;
  return std::random_device()();
}

int64_t CasesFromEnvironment(int64_t default_cases) {
  const char* const text = std::getenv("CAPBROKER_CASES");
  int64_t cases = 0;
  return text != nullptr && absl::SimpleAtoi(text, &cases) ? cases : default_cases;
}

RandomMessages::RandomMessages(const google::protobuf::ServiceDescriptor& service, uint64_t seed)
    : limits_type_(service.file()->pool()->FindMessageTypeByName(
          service.options().GetExtension(capbroker::v1::authority).limits())),
      random_(seed) {
  for (int i = 0; i < service.method_count(); ++i) {
    for (const capbroker::v1::Requirement& need :
         service.method(i)->options().GetRepeatedExtension(capbroker::v1::needs)) {
      needed_words_.push_back(need.value());
    }
  }
}

void RandomMessages::Focus() {
  focus_ = limits_type_->field(static_cast<int>(Below(limits_type_->field_count())));
}

std::unique_ptr<Message> RandomMessages::Limits() {
  std::unique_ptr<Message> limits = New(limits_type_);
  for (int i = 0; i < limits_type_->field_count(); ++i) {
    FillLimit(*limits_type_->field(i), *limits);
  }
  return limits;
}

void RandomMessages::FillLimit(const FieldDescriptor& field, Message& limits) {
  const Reflection& reflection = *limits.GetReflection();
  const capbroker::v1::LimitKind kind = field.options().GetExtension(capbroker::v1::limit);
  const bool generous = &field != focus_ && !OneIn(20);
  if (!generous && OneIn(5)) return;
  if (!field.is_repeated()) {
    const uint64_t number = generous ? 7 : Below(8);
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return reflection.SetInt32(&limits, &field, static_cast<int32_t>(number));
      case FieldDescriptor::CPPTYPE_INT64:
        return reflection.SetInt64(&limits, &field, static_cast<int64_t>(number));
      case FieldDescriptor::CPPTYPE_UINT32:
        return reflection.SetUInt32(&limits, &field, static_cast<uint32_t>(number));
      default:
        return reflection.SetUInt64(&limits, &field, number);
    }
  }
  const uint64_t entries = generous ? 12 : 1 + Below(4);
  for (uint64_t i = 0; i < entries; ++i) {
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_ENUM: {
        const auto* type = field.enum_type();
        // Zero is no limit, so all but the first.
        const int index = 1 + static_cast<int>(Below(type->value_count() - 1));
        reflection.AddEnum(&limits, &field, type->value(index));
        break;
      }
      case FieldDescriptor::CPPTYPE_INT32:
        reflection.AddInt32(&limits, &field, static_cast<int32_t>(Integer()));
        break;
      case FieldDescriptor::CPPTYPE_INT64:
        reflection.AddInt64(&limits, &field, Integer());
        break;
      case FieldDescriptor::CPPTYPE_UINT32:
        reflection.AddUInt32(&limits, &field, static_cast<uint32_t>(Integer()));
        break;
      case FieldDescriptor::CPPTYPE_UINT64:
        reflection.AddUInt64(&limits, &field, static_cast<uint64_t>(Integer()));
        break;
      default:
        reflection.AddString(&limits, &field, LimitText(field, kind));
    }
  }
  // All of it, in words.
  if (generous && kind == capbroker::v1::NAME_PATTERNS)
    reflection.AddString(&limits, &field, "*.a");
  if (generous && kind == capbroker::v1::PATHS) reflection.AddString(&limits, &field, "/a/");
  if (generous && kind == capbroker::v1::CIDRS)
    reflection.AddString(&limits, &field, "10.0.0.0/28");
}

int64_t RandomMessages::Integer() {
  constexpr int64_t kIntegers[] = {-1, -1, 0, 1, 2, 3, 63, 64};
  return kIntegers[Below(std::size(kIntegers))];
}

std::string RandomMessages::Word() {
  constexpr absl::string_view kWords[] = {"a", "b", "c", ""};
  if (!needed_words_.empty() && OneIn(3)) return needed_words_[Below(needed_words_.size())];
  return std::string(kWords[Below(std::size(kWords))]);
}

std::string RandomMessages::Name() {
  std::string name = OneIn(2) ? "a" : "b";
  for (uint64_t i = Below(3); i > 0; --i) name = absl::StrCat(OneIn(2) ? "a." : "b.", name);
  if (OneIn(8)) name = absl::AsciiStrToUpper(name);
  if (OneIn(8)) name += ".";
  return name;
}

std::string RandomMessages::Path() {
  std::string path;
  for (uint64_t i = 1 + Below(3); i > 0; --i) absl::StrAppend(&path, OneIn(2) ? "/a" : "/b");
  return path;
}

std::string RandomMessages::LimitText(const FieldDescriptor& limit, capbroker::v1::LimitKind kind) {
  switch (kind) {
    case capbroker::v1::NAME_PATTERNS:
      if (OneIn(30)) return "*";
      return absl::StrCat(OneIn(2) ? "*." : "", Name());
    case capbroker::v1::PATHS:
      if (OneIn(30)) return "/";
      return absl::StrCat(Path(), OneIn(2) ? "/" : "");
    case capbroker::v1::CIDRS: {
      const uint64_t host_bits = Below(5);
      const uint64_t address = Below(16) >> host_bits << host_bits;
      switch (Below(8)) {
        case 0:
          return OneIn(4) ? "0.0.0.0/0" : "::/0";
        case 1:
          return absl::StrCat("2001:db8::", absl::Hex(address), "/", 128 - host_bits);
        case 2:
          return absl::StrCat("::ffff:10.0.0.", address, "/", 128 - host_bits);
        case 3:
          return absl::StrCat("10.0.0.", Below(16));
        default:
          return absl::StrCat("10.0.0.", address, "/", 32 - host_bits);
      }
    }
    default:
      if (OneIn(30)) return "*";
      return IsDecimalSet(limit) ? absl::StrCat(Integer()) : Word();
  }
}

std::string RandomMessages::RequestText(const FieldDescriptor& field,
                                        capbroker::v1::LimitKind kind) {
  switch (kind) {
    case capbroker::v1::NAME_PATTERNS:
      if (OneIn(20)) {
        constexpr absl::string_view kOdd[] = {"", ".", "*", "*.a", "a..a", ".a", "a a", "b\\.a"};
        return std::string(kOdd[Below(std::size(kOdd))]);
      }
      if (OneIn(40)) return std::string("b\0.a", 4);
      return Name();
    case capbroker::v1::PATHS:
      if (OneIn(20)) {
        constexpr absl::string_view kOdd[] = {"",      "/",       "a",      "/a/",
                                              "/a//b", "/a/../b", "/a/./a", "/a/.."};
        return std::string(kOdd[Below(std::size(kOdd))]);
      }
      return OneIn(40) ? std::string("/a\0", 3) : Path();
    case capbroker::v1::CIDRS: {
      const uint64_t last = Below(18);
      if (field.type() == FieldDescriptor::TYPE_BYTES) {
        std::string packed("\x0a\0\0\0", 4);
        packed[3] = static_cast<char>(last);
        if (OneIn(4)) packed = std::string("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) + packed;
        if (OneIn(4))
          packed = std::string("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0", 15) + packed[3];
        if (OneIn(20)) packed.pop_back();
        return packed;
      }
      if (OneIn(4)) return absl::StrCat("2001:DB8:0::", absl::Hex(last));
      if (OneIn(4)) return absl::StrCat("::ffff:10.0.0.", last);
      if (OneIn(20)) return OneIn(2) ? "" : "10.0.0.1/32";
      return absl::StrCat("10.0.0.", last);
    }
    default:
      return OneIn(20) ? "*" : Word();
  }
}

const FieldDescriptor* RandomMessages::LimitOf(const FieldDescriptor& field) const {
  const std::string& name = field.options().GetExtension(capbroker::v1::bounded_by);
  return name.empty() ? nullptr : limits_type_->FindFieldByName(name);
}

std::unique_ptr<Message> RandomMessages::Request(const google::protobuf::MethodDescriptor& method) {
  std::unique_ptr<Message> request = New(method.input_type());
  FillRequest(*request);
  return request;
}

void RandomMessages::FillRequest(Message& request) {
  const Descriptor& type = *request.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    // Of a oneof, the last one that is set stays.
    if (OneIn(field.has_presence() ? 2 : 20)) continue;
    FillField(field, LimitOf(field), request);
  }
  if (OneIn(50)) {
    request.GetReflection()->MutableUnknownFields(&request)->AddVarint(1000, 1);
  }
}

void RandomMessages::FillField(const FieldDescriptor& field, const FieldDescriptor* limit,
                               Message& message) {
  const Reflection& reflection = *message.GetReflection();
  // Now and then more than a max_length of 4 admits.
  const uint64_t count = !field.is_repeated() ? 1 : OneIn(30) ? 5 : Below(3);
  for (uint64_t i = 0; i < count; ++i) {
    if (field.is_map()) {
      AddMapEntry(field, limit, message);
    } else if (field.message_type() != nullptr) {
      FillRequest(field.is_repeated() ? *reflection.AddMessage(&message, &field)
                                      : *reflection.MutableMessage(&message, &field));
    } else {
      FillScalar(field, limit, message);
    }
  }
}

void RandomMessages::AddMapEntry(const FieldDescriptor& field, const FieldDescriptor* limit,
                                 Message& message) {
  // Through a message of its own and MergeFrom, so that equal keys stay one entry.
  const std::unique_ptr<Message> single(message.New());
  Message& entry = *single->GetReflection()->AddMessage(single.get(), &field);
  FillScalar(*field.message_type()->map_key(), limit, entry);
  const FieldDescriptor& value = *field.message_type()->map_value();
  if (value.message_type() != nullptr) {
    FillRequest(*entry.GetReflection()->MutableMessage(&entry, &value));
  } else {
    FillScalar(value, limit, entry);
  }
  message.MergeFrom(*single);
}

void RandomMessages::FillScalar(const FieldDescriptor& field, const FieldDescriptor* limit,
                                Message& message) {
  const Reflection& reflection = *message.GetReflection();
  const capbroker::v1::LimitKind kind =
      limit == nullptr ? capbroker::v1::SET : limit->options().GetExtension(capbroker::v1::limit);
  const bool magnitude = kind == capbroker::v1::MAXIMUM || kind == capbroker::v1::FLAGS;
  const int64_t number = magnitude && !OneIn(20) ? static_cast<int64_t>(Below(9)) : Integer();
  const bool repeated = field.is_repeated();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM: {
      const auto* type = field.enum_type();
      const int chosen =
          OneIn(30) ? 99 : type->value(static_cast<int>(Below(type->value_count())))->number();
      return repeated ? reflection.AddEnumValue(&message, &field, chosen)
                      : reflection.SetEnumValue(&message, &field, chosen);
    }
    case FieldDescriptor::CPPTYPE_INT32:
      return repeated ? reflection.AddInt32(&message, &field, static_cast<int32_t>(number))
                      : reflection.SetInt32(&message, &field, static_cast<int32_t>(number));
    case FieldDescriptor::CPPTYPE_INT64:
      return repeated ? reflection.AddInt64(&message, &field, number)
                      : reflection.SetInt64(&message, &field, number);
    case FieldDescriptor::CPPTYPE_UINT32:
      return repeated ? reflection.AddUInt32(&message, &field, static_cast<uint32_t>(number))
                      : reflection.SetUInt32(&message, &field, static_cast<uint32_t>(number));
    case FieldDescriptor::CPPTYPE_UINT64:
      return repeated ? reflection.AddUInt64(&message, &field, static_cast<uint64_t>(number))
                      : reflection.SetUInt64(&message, &field, static_cast<uint64_t>(number));
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::string text = RequestText(field, kind);
      return repeated ? reflection.AddString(&message, &field, text)
                      : reflection.SetString(&message, &field, text);
    }
    case FieldDescriptor::CPPTYPE_BOOL:
      if (!repeated) reflection.SetBool(&message, &field, OneIn(2));
      return;
    case FieldDescriptor::CPPTYPE_DOUBLE:
      if (!repeated) reflection.SetDouble(&message, &field, 1.5);
      return;
    default:
      return;
  }
}

}  // namespace capbroker::testing
