#include "tools/protoc-gen-capbroker/printing.h"

#include <cctype>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace capbroker::codegen {
namespace {

using google::protobuf::Descriptor;

bool CarriesDescriptors(const Descriptor* type, std::set<const Descriptor*>& seen) {
  if (type->full_name() == "capbroker.v1.Descriptor") return true;
  if (!seen.insert(type).second) return false;
  for (int i = 0; i < type->field_count(); ++i) {
    const Descriptor* nested = type->field(i)->message_type();
    if (nested != nullptr && CarriesDescriptors(nested, seen)) return true;
  }
  return false;
}

// "a.b.Outer.Inner" as "::a::b::Outer_Inner", as protoc does.
std::string ClassName(const Descriptor& type) {
  std::string nested(type.name());
  for (const Descriptor* outer = type.containing_type(); outer != nullptr;
       outer = outer->containing_type()) {
    nested = absl::StrCat(outer->name(), "_", nested);
  }
  return absl::StrCat("::", Namespace(*type.file()), "::", nested);
}

}  // namespace

std::string Stem(const google::protobuf::FileDescriptor& file) {
  return std::string(absl::StripSuffix(file.name(), ".proto"));
}

std::string Namespace(const google::protobuf::FileDescriptor& file) {
  return absl::StrReplaceAll(file.package(), {{".", "::"}});
}

bool CarriesDescriptors(const Descriptor* type) {
  std::set<const Descriptor*> seen;
  return CarriesDescriptors(type, seen);
}

Kind KindOf(const google::protobuf::MethodDescriptor& method) {
  if (method.client_streaming()) {
    return method.server_streaming() ? Kind::kBidi : Kind::kClientStream;
  }
  return method.server_streaming() ? Kind::kServerStream : Kind::kUnary;
}

bool AllUnary(const google::protobuf::ServiceDescriptor& service) {
  for (int i = 0; i < service.method_count(); ++i) {
    if (KindOf(*service.method(i)) != Kind::kUnary) return false;
  }
  return true;
}

Variables FileVariables(const google::protobuf::FileDescriptor& file) {
  std::string guard;
  for (const char c : Stem(file)) {
    guard += std::isalnum(static_cast<unsigned char>(c)) ? absl::ascii_toupper(c) : '_';
  }
  return {{"file", file.name()},
          {"stem", Stem(file)},
          {"guard", guard},
          {"namespace", Namespace(file)}};
}

Variables ServiceVariables(const google::protobuf::ServiceDescriptor& service) {
  Variables variables = FileVariables(*service.file());
  variables["service"] = service.name();
  variables["full_service"] = service.full_name();
  variables["service_index"] = absl::StrCat(service.index());
  return variables;
}

Variables MethodVariables(const google::protobuf::MethodDescriptor& method) {
  Variables variables = ServiceVariables(*method.service());
  variables["method"] = method.name();
  variables["path"] = absl::StrCat("/", method.service()->full_name(), "/", method.name());
  variables["index"] = absl::StrCat(method.index());
  variables["request"] = ClassName(*method.input_type());
  variables["response"] = ClassName(*method.output_type());
  variables["request_descriptors"] = CarriesDescriptors(method.input_type()) ? "true" : "false";
  variables["response_descriptors"] = CarriesDescriptors(method.output_type()) ? "true" : "false";
  return variables;
}

}  // namespace capbroker::codegen
