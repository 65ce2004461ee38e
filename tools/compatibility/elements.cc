#include "tools/compatibility/elements.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "capbroker/v1/authority.pb.h"

namespace capbroker::tools {
namespace {

using google::protobuf::DescriptorProto;
using google::protobuf::EnumDescriptorProto;
using google::protobuf::FieldDescriptorProto;
using google::protobuf::FileDescriptorProto;
using google::protobuf::FileDescriptorSet;
using google::protobuf::ServiceDescriptorProto;

std::string Join(const std::string& scope, const std::string& name) {
  return scope.empty() ? name : absl::StrCat(scope, ".", name);
}

}  // namespace

Elements::Elements(const FileDescriptorSet& set) {
  for (const FileDescriptorProto& file : set.file()) {
    files.Add(file.name(), file);
    for (const auto& message : file.message_type()) AddMessage(file.package(), message);
    for (const auto& type : file.enum_type()) enums.Add(Join(file.package(), type.name()), type);
    for (const auto& extension : file.extension()) {
      extensions.Add(Join(file.package(), extension.name()), extension);
    }
    for (const auto& service : file.service()) {
      services.Add(Join(file.package(), service.name()), service);
    }
  }
  std::set<std::string> other_kinds;
  for (const auto& [name, message] : messages) {
    for (const FieldDescriptorProto& field : message->field()) {
      if (!field.options().HasExtension(v1::limit)) continue;
      const bool is_flags = field.options().GetExtension(v1::limit) == v1::FLAGS;
      (is_flags ? flags : other_kinds).insert(field.name());
    }
  }
  for (const std::string& name : other_kinds) flags.erase(name);
  for (const auto& [name, service] : services) {
    for (const auto& method : service->method()) AddRequest(method.input_type());
  }
}

void Elements::AddMessage(const std::string& scope, const DescriptorProto& message) {
  const std::string name = Join(scope, message.name());
  messages.Add(name, message);
  for (const DescriptorProto& nested : message.nested_type()) AddMessage(name, nested);
  for (const EnumDescriptorProto& type : message.enum_type()) {
    enums.Add(Join(name, type.name()), type);
  }
  for (const FieldDescriptorProto& extension : message.extension()) {
    extensions.Add(Join(name, extension.name()), extension);
  }
}

void Elements::AddRequest(const std::string& type_name) {
  const std::string name(absl::StripPrefix(type_name, "."));
  const DescriptorProto* const message = messages.Find(name);
  if (message == nullptr || !in_requests.insert(name).second) return;
  for (const FieldDescriptorProto& field : message->field()) {
    if (field.type() == FieldDescriptorProto::TYPE_MESSAGE) AddRequest(field.type_name());
  }
}

}  // namespace capbroker::tools
