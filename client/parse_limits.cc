#include "client/parse_limits.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "authority/limits.h"
#include "authority/schema.h"
#include "base/status_macros.h"
#include "capbroker/v1/authority.pb.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/text_format.h"

namespace capbroker {
namespace {

using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::TextFormat;
using ::google::protobuf::io::Tokenizer;

// The first error. Lines and columns count from 0 here, and from 1 for people.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (!message_.empty()) return;
    line_ = line;
    column_ = column;
    message_ = message;
  }
  int line() const { return line_; }
  int column() const { return column_; }
  const std::string& message() const { return message_; }

 private:
  int line_ = 0;
  int column_ = 0;
  std::string message_;
};

absl::Status At(int line, int column, absl::string_view field, absl::string_view reason) {
  return absl::InvalidArgumentError(
      absl::StrCat(line + 1, ":", column + 1, ": ", field, field.empty() ? "" : ": ", reason));
}

// The field that the text is at: the last word before the place that a value follows.
std::string FieldBefore(absl::string_view text, int line, int column) {
  google::protobuf::io::ArrayInputStream stream(text.data(), static_cast<int>(text.size()));
  FirstError ignored;
  Tokenizer tokens(&stream, &ignored);
  tokens.set_comment_style(Tokenizer::SH_COMMENT_STYLE);
  std::string field;
  while (tokens.Next()) {
    const Tokenizer::Token& token = tokens.current();
    const bool beyond = token.line > line || (token.line == line && token.column > column);
    if (beyond) break;
    if (token.text == ":" || token.text == "{" || token.text == "<") {
      field = tokens.previous().text;
    } else if (token.line == line && token.column == column &&
               token.type == Tokenizer::TYPE_IDENTIFIER) {
      // Often the word itself: one that is no field.
      if (tokens.previous().text != ":") field = token.text;
    }
  }
  return field;
}

// The service that these limits are of, if it is in the same file.
const google::protobuf::ServiceDescriptor* ServiceOf(const google::protobuf::Descriptor& limits) {
  for (int i = 0; i < limits.file()->service_count(); ++i) {
    const auto* service = limits.file()->service(i);
    if (service->options().GetExtension(v1::authority).limits() == limits.full_name()) {
      return service;
    }
  }
  return nullptr;
}

// What is wrong with the first `count` values of the field alone; OK if nothing is.
absl::Status CheckFirst(const authority::ServiceSchema& schema, const Message& limits,
                        const FieldDescriptor* field, int count) {
  const std::unique_ptr<Message> alone(limits.New());
  alone->CopyFrom(limits);
  const google::protobuf::Reflection& reflection = *alone->GetReflection();
  for (const authority::LimitField& other : schema.limit_fields()) {
    if (other.field != field) reflection.ClearField(alone.get(), other.field);
  }
  while (field->is_repeated() && reflection.FieldSize(*alone, field) > count) {
    reflection.RemoveLast(alone.get(), field);
  }
  return authority::Limits::Compile(schema, *alone).status();
}

// The value is the last of the first so many.
TextFormat::ParseLocation PlaceOf(const FieldDescriptor* field, int count,
                                  const TextFormat::ParseInfoTree& places) {
  if (!field->is_repeated()) return places.GetLocation(field, -1);
  // Of a list in brackets only the list has a place.
  TextFormat::ParseLocation place;
  for (int i = count - 1; i >= 0 && place.line < 0; --i) place = places.GetLocation(field, i);
  return place;
}

std::string Reason(const absl::Status& status, const FieldDescriptor* field) {
  return std::string(absl::StripPrefix(status.message(), absl::StrCat(field->full_name(), ": ")));
}

absl::Status CheckValues(const Message& limits, const TextFormat::ParseInfoTree& places) {
  const auto* service = ServiceOf(*limits.GetDescriptor());
  if (service == nullptr) return absl::OkStatus();
  CB_ASSIGN_OR_RETURN(const std::unique_ptr<const authority::ServiceSchema> schema,
                      authority::ServiceSchema::Compile(*service));
  const absl::Status compiled = authority::Limits::Compile(*schema, limits).status();
  if (compiled.ok()) return compiled;
  for (const authority::LimitField& limit : schema->limit_fields()) {
    const FieldDescriptor* field = limit.field;
    int bad = field->is_repeated() ? limits.GetReflection()->FieldSize(limits, field) : 1;
    absl::Status refused = CheckFirst(*schema, limits, field, bad);
    if (refused.ok()) continue;
    // The first value without which the others are right.
    for (int good = 0; bad - good > 1;) {
      const int middle = good + (bad - good) / 2;
      const absl::Status checked = CheckFirst(*schema, limits, field, middle);
      (checked.ok() ? good : bad) = middle;
      if (!checked.ok()) refused = checked;
    }
    const TextFormat::ParseLocation place = PlaceOf(field, bad, places);
    return At(place.line, place.column, field->name(), Reason(refused, field));
  }
  // Of all together: too large.
  return At(0, 0, "", compiled.message());
}

}  // namespace

absl::Status ParseLimitsInto(absl::string_view text, Message* limits) {
  FirstError error;
  TextFormat::ParseInfoTree places;
  TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  parser.WriteLocationsTo(&places);
  if (!parser.ParseFromString(std::string(text), limits)) {
    return At(error.line(), error.column(), FieldBefore(text, error.line(), error.column()),
              error.message());
  }
  return CheckValues(*limits, places);
}

}  // namespace capbroker
