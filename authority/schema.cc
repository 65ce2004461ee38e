#include "authority/schema.h"

#include <utility>

#include "authority/schema_compiler.h"
#include "google/protobuf/dynamic_message.h"

namespace capbroker::authority {

using ::google::protobuf::Descriptor;
using ::google::protobuf::Message;
using ::google::protobuf::MessageFactory;

ServiceSchema::ServiceSchema()
    : dynamic_factory_(std::make_unique<google::protobuf::DynamicMessageFactory>()) {}
ServiceSchema::~ServiceSchema() = default;

absl::StatusOr<std::unique_ptr<const ServiceSchema>> ServiceSchema::Compile(
    const google::protobuf::ServiceDescriptor& service) {
  return SchemaCompiler(service).Compile();
}

int ServiceSchema::FindLimit(absl::string_view field) const {
  for (size_t i = 0; i < limit_fields_.size(); ++i) {
    if (limit_fields_[i].name() == field) return static_cast<int>(i);
  }
  return -1;
}

const MethodSchema* ServiceSchema::FindMethod(absl::string_view name) const {
  const auto found = method_index_.find(name);
  return found == method_index_.end() ? nullptr : &methods_[found->second];
}

const Message* ServiceSchema::PrototypeOf(const Descriptor* type) const {
  const bool generated = type->file()->pool() == google::protobuf::DescriptorPool::generated_pool();
  MessageFactory* const factory =
      generated ? MessageFactory::generated_factory() : dynamic_factory_.get();
  return factory->GetPrototype(type);
}

std::unique_ptr<Message> ServiceSchema::NewLimits() const {
  return std::unique_ptr<Message>(limits_prototype_->New());
}
std::unique_ptr<Message> ServiceSchema::NewBudget() const {
  return std::unique_ptr<Message>(budget_prototype_->New());
}

}  // namespace capbroker::authority
