#include "serving/process/prepared_service.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <memory>
#include <set>
#include <utility>

#include "base/status_macros.h"
#include "capbroker/v1/capability.dispatch.h"
#include "capbroker/v1/capability.pb.h"
#include "capbroker/v1/control.pb.h"
#include "capbroker/v1/lane.pb.h"
#include "serving/channel/capability_service.h"

namespace capbroker::serving {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::Message;
using google::protobuf::MessageFactory;

void MakeReflection(const Descriptor& type) {
  const Message* const message = MessageFactory::generated_factory()->GetPrototype(&type);
  if (message != nullptr) (void)message->GetReflection();
  for (int i = 0; i < type.nested_type_count(); ++i) MakeReflection(*type.nested_type(i));
}

void MakeReflection(const FileDescriptor& file, std::set<const FileDescriptor*>& made) {
  if (!made.insert(&file).second) return;
  for (int i = 0; i < file.message_type_count(); ++i) MakeReflection(*file.message_type(i));
  for (int i = 0; i < file.dependency_count(); ++i) MakeReflection(*file.dependency(i), made);
}

}  // namespace

absl::StatusOr<PreparedService> PreparedService::Prepare(const ServiceDefinition& definition) {
  CB_ASSIGN_OR_RETURN(std::unique_ptr<const authority::ServiceSchema> schema,
                      authority::ServiceSchema::Compile(*definition.descriptor));
  static auto* const made = new std::set<const FileDescriptor*>;
  MakeReflection(*definition.descriptor->file(), *made);
  // What a process has to do with its broker and with callers, whatever it serves.
  MakeReflection(*v1::InstallRequest::descriptor()->file(), *made);
  MakeReflection(*v1::NarrowRequest::descriptor()->file(), *made);
  MakeReflection(*v1::RequestMetadata::descriptor()->file(), *made);
  return PreparedService(&definition, std::move(schema),
                         v1::CapbrokerMakeDispatch(std::make_unique<CapabilityService>()));
}

}  // namespace capbroker::serving
