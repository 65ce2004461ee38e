#include "broker/families/families.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "broker/families/spare_services.h"
#include "transport/lane_socket.h"

namespace capbroker::broker {
namespace {

constexpr size_t kMaxSettings = 256u << 10;

// INVARIANT(no-descriptor-undeclared): the kernel refuses what no request declares.
transport::ClientDescriptors FromClients(const authority::ServiceSchema& schema) {
  for (const authority::MethodSchema& method : schema.methods()) {
    if (method.request_descriptors()) return transport::ClientDescriptors::kAccepted;
  }
  return transport::ClientDescriptors::kRefused;
}

}  // namespace

absl::StatusOr<const authority::ServiceSchema*> Families::SchemaOf(
    const serving::ServiceDefinition& service) {
  std::unique_ptr<const authority::ServiceSchema>& schema = schemas_[&service];
  if (schema == nullptr) {
    CB_ASSIGN_OR_RETURN(schema, authority::ServiceSchema::Compile(*service.descriptor));
  }
  return schema.get();
}

absl::StatusOr<Families::Opened> Families::Open(const v1::OpenServiceRequest& request,
                                                TakeDescriptor take,
                                                std::function<void(absl::Status)> forked) {
  const serving::ServiceDefinition* service = serving::FindService(request.service());
  if (service == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("open \"", request.service(), "\": no such service is linked"));
  }
  Family::Inputs inputs;
  if (request.upstream().slot() != 0) {
    CB_ASSIGN_OR_RETURN(inputs.upstream, take(request.upstream()));
  }
  if (request.has_settings()) {
    if (request.settings().ByteSizeLong() > kMaxSettings) {
      return absl::InvalidArgumentError(absl::StrCat(
          "open \"", request.service(), "\": settings larger than ", kMaxSettings, " bytes"));
    }
    inputs.settings = request.settings();
  }
  CB_ASSIGN_OR_RETURN(const authority::ServiceSchema* schema, SchemaOf(*service));
  CB_ASSIGN_OR_RETURN(transport::LanePair lane, transport::MakeLane(FromClients(*schema)));
  const uint64_t id = next_family_;
  absl::StatusOr<std::unique_ptr<Family>> family = Family::Create(
      id, *service, *schema, request.limits(), request.has_budget() ? &request.budget() : nullptr,
      request.wire(), std::move(lane.service));
  if (!family.ok()) {
    return absl::Status(family.status().code(), absl::StrCat("open \"", request.service(),
                                                             "\": ", family.status().message()));
  }
  ++next_family_;
  (*family)->SetInputs(std::move(inputs));
  auto served = std::make_unique<ServedFamily>(parts_, *std::move(family),
                                               [this, id] { families_.erase(id); });
  ServedFamily& started = *served;
  parts_.audit->RecordLimits(started.family(), kFirstChannel, v1::AuditEvent::OPENED);
  families_.emplace(id, std::move(served));
  started.Start(std::move(forked));
  return Opened{id, kFirstChannel, std::move(lane.client)};
}

ServedFamily* Families::Find(uint64_t family) {
  const auto found = families_.find(family);
  return found == families_.end() ? nullptr : found->second.get();
}

void Families::Describe(v1::InspectResponse* response) const {
  for (const auto& [id, served] : families_) {
    v1::InspectResponse::Family* family = response->add_families();
    family->set_family(id);
    family->set_service(served->family().service().name);
    family->set_channels(static_cast<uint32_t>(served->family().open()));
    family->set_restarts(static_cast<uint32_t>(served->restarts()));
    family->set_process(served->pid());
    family->set_layers(served->layers());
  }
  response->set_spare_services(static_cast<uint32_t>(parts_.spares->count()));
}

}  // namespace capbroker::broker
