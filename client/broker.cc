#include "client/broker.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <set>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/file_grant.h"
#include "base/status_macros.h"
#include "client/broker_link.h"
#include "client/supervision.h"
#include "client/worker_birth.h"
#include "transport/call_descriptors.h"

namespace capbroker {
namespace {

absl::Status ToOpenRequest(const Authority& authority, CallDescriptors& descriptors,
                           v1::OpenServiceRequest* request) {
  request->set_service(authority.service);
  *request->mutable_limits() = authority.limits;
  if (authority.budget.has_value()) *request->mutable_budget() = *authority.budget;
  request->set_wire(authority.wire);
  if (authority.settings.has_value()) *request->mutable_settings() = *authority.settings;
  if (authority.upstream == nullptr) return absl::OkStatus();
  // INVARIANT(one-holder-per-end): this process keeps nothing of the channel.
  CB_ASSIGN_OR_RETURN(UniqueFd lane, authority.upstream->Release());
  descriptors.Attach(std::move(lane), request->mutable_upstream());
  return absl::OkStatus();
}

void ToProto(absl::Duration duration, google::protobuf::Duration* proto) {
  proto->set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &duration));
  proto->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(duration)));
}

void ToProto(const WorkerBounds& bounds, v1::WorkerBounds* proto) {
  if (bounds.cpu_time > absl::ZeroDuration()) ToProto(bounds.cpu_time, proto->mutable_cpu_time());
  if (bounds.wall_time > absl::ZeroDuration()) {
    ToProto(bounds.wall_time, proto->mutable_wall_time());
  }
  proto->set_memory_bytes(bounds.memory);
  proto->set_descriptors(bounds.descriptors);
  proto->set_processes(bounds.threads);
  proto->set_file_size_bytes(bounds.file_size);
}

void ToProto(const Supervision& supervision, v1::Supervision* proto) {
  for (const FileGrant& grant : supervision.files) {
    v1::FileGrant* const file = proto->add_files();
    file->set_path(grant.path);
    file->set_tree(grant.extent == FileGrant::Extent::kTree);
    file->set_read((grant.access & kReadFiles) != 0);
    file->set_write((grant.access & kWriteFiles) != 0);
    file->set_create((grant.access & kCreateFiles) != 0);
    file->set_run((grant.access & kRunFiles) != 0);
  }
  switch (supervision.refusal) {
    case Refusal::kNotCapable:
      proto->set_refusal(v1::Supervision::NOT_CAPABLE);
      break;
    case Refusal::kAccess:
      proto->set_refusal(v1::Supervision::NO_ACCESS);
      break;
    case Refusal::kAbsent:
      proto->set_refusal(v1::Supervision::ABSENT);
      break;
  }
  proto->set_processes(supervision.processes);
  proto->set_working_directory(supervision.working_directory);
  proto->set_file_mode_mask(supervision.file_mode_mask);
}

absl::Status CheckGrants(const std::vector<Grant>& grants, std::set<absl::string_view>& names) {
  for (const Grant& grant : grants) {
    if (grant.name.empty() || grant.name.size() > kMaxGrantName ||
        !names.insert(grant.name).second) {
      return absl::InvalidArgumentError(absl::StrCat(
          "launch worker: grant \"", grant.name, "\": the name is empty, too long or used twice"));
    }
    if (std::holds_alternative<std::shared_ptr<Channel>>(grant.source) &&
        std::get<std::shared_ptr<Channel>>(grant.source) == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("launch worker: grant \"", grant.name, "\": no channel"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckOptions(const WorkerOptions& options) {
  if ((options.entry == nullptr) == options.program.empty()) {
    return absl::InvalidArgumentError("launch worker: either an entry or a program");
  }
  size_t count = options.grants.size();
  if (options.supervision.has_value()) {
    count += options.supervision->connections.size() + options.supervision->servers.size();
  }
  if (count > kMaxGrants) {
    return absl::InvalidArgumentError(
        absl::StrCat("launch worker: more than ", kMaxGrants, " grants"));
  }
  if (options.input.size() > kMaxInput) {
    return absl::InvalidArgumentError(
        absl::StrCat("launch worker: input larger than ", kMaxInput, " bytes"));
  }
  std::set<absl::string_view> names;
  CB_RETURN_IF_ERROR(CheckGrants(options.grants, names));
  if (!options.supervision.has_value()) return absl::OkStatus();
  CB_RETURN_IF_ERROR(CheckGrants(options.supervision->connections, names));
  return CheckGrants(options.supervision->servers, names);
}

absl::Status AttachProgram(const std::string& path, CallDescriptors& descriptors,
                           v1::LaunchWorkerRequest& request) {
  // INVARIANT(object-checked-after-look): what is executed is what was opened here.
  UniqueFd program(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!program.valid()) return ErrnoToStatus(errno, absl::StrCat("open program ", path));
  descriptors.Attach(std::move(program), request.mutable_program());
  return absl::OkStatus();
}

enum class Use { kByWorker, kToConnect, kToListen };

absl::Status AttachGrants(const std::vector<Grant>& grants, Use use, uint64_t broker,
                          CallDescriptors& descriptors, v1::LaunchWorkerRequest& request) {
  for (const Grant& grant : grants) {
    v1::WorkerGrant* proto = request.add_grants();
    proto->set_name(grant.name);
    proto->set_connects(use == Use::kToConnect);
    proto->set_listens(use == Use::kToListen);
    if (const auto* authority = std::get_if<Authority>(&grant.source)) {
      CB_RETURN_IF_ERROR(ToOpenRequest(*authority, descriptors, proto->mutable_open()));
      continue;
    }
    Channel& channel = *std::get<std::shared_ptr<Channel>>(grant.source);
    if (channel.origin().broker == broker) {
      proto->set_family(channel.origin().family);
      proto->set_number(channel.origin().number);
    }
    // INVARIANT(one-holder-per-end): this process keeps nothing of the channel.
    CB_ASSIGN_OR_RETURN(UniqueFd lane, channel.Release());
    descriptors.Attach(std::move(lane), proto->mutable_channel());
  }
  return absl::OkStatus();
}

}  // namespace

Broker::Broker(std::shared_ptr<BrokerLink> link) : link_(std::move(link)) {}
Broker::Broker(Broker&&) noexcept = default;

Broker& Broker::operator=(Broker&& other) noexcept {
  if (link_ != nullptr) link_->End();
  link_ = std::move(other.link_);
  return *this;
}

Broker::~Broker() {
  if (link_ != nullptr) link_->End();
}

absl::StatusOr<std::shared_ptr<Channel>> Broker::Open(const Authority& authority) {
  grpc::ClientContext context;
  CallDescriptors descriptors(&context);
  v1::OpenServiceRequest request;
  CB_RETURN_IF_ERROR(ToOpenRequest(authority, descriptors, &request));
  v1::OpenServiceResponse response;
  CB_RETURN_IF_ERROR(link_->Call(BrokerMethod::kOpenService, &context, request, &response));
  CB_ASSIGN_OR_RETURN(UniqueFd lane, descriptors.Take(response.channel()));
  return std::make_shared<Channel>(
      std::move(lane), Channel::Origin{link_->number(), response.family(), response.number()});
}

absl::StatusOr<Worker> Broker::Launch(WorkerOptions options) {
  CB_RETURN_IF_ERROR(CheckOptions(options));
  grpc::ClientContext context;
  CallDescriptors descriptors(&context);
  v1::LaunchWorkerRequest request;
  if (options.entry != nullptr) {
    request.set_entry(reinterpret_cast<uintptr_t>(options.entry));
  } else {
    CB_RETURN_IF_ERROR(AttachProgram(options.program, descriptors, request));
    request.add_arguments(options.program);
  }
  for (std::string& argument : options.arguments) request.add_arguments(std::move(argument));
  for (std::string& entry : options.environment) request.add_environment(std::move(entry));
  ToProto(options.bounds, request.mutable_bounds());
  request.set_input(std::move(options.input));
  request.set_resizes_files(options.resizes_files);
  request.set_makes_code(options.makes_code);
  request.set_accepts_connections(options.accepts_connections);
  if (options.supervision.has_value()) {
    ToProto(*options.supervision, request.mutable_supervision());
  }
  if (options.standard_input.valid()) {
    descriptors.Attach(std::move(options.standard_input), request.mutable_standard_input());
  }
  if (options.standard_output.valid()) {
    descriptors.Attach(std::move(options.standard_output), request.mutable_standard_output());
  }
  if (options.standard_error.valid()) {
    descriptors.Attach(std::move(options.standard_error), request.mutable_standard_error());
  }
  CB_RETURN_IF_ERROR(
      AttachGrants(options.grants, Use::kByWorker, link_->number(), descriptors, request));
  if (options.supervision.has_value()) {
    CB_RETURN_IF_ERROR(AttachGrants(options.supervision->connections, Use::kToConnect,
                                    link_->number(), descriptors, request));
    CB_RETURN_IF_ERROR(AttachGrants(options.supervision->servers, Use::kToListen, link_->number(),
                                    descriptors, request));
  }
  v1::LaunchWorkerResponse response;
  CB_RETURN_IF_ERROR(link_->Call(BrokerMethod::kLaunchWorker, &context, request, &response));
  return Worker(link_, response.worker(),
                std::vector<std::string>(response.layers().begin(), response.layers().end()));
}

absl::StatusOr<Revocation> Broker::Revoke(const Channel& channel) {
  const Channel::Origin& origin = channel.origin();
  if (origin.broker != link_->number()) {
    return absl::NotFoundError("revoke: not a channel that this broker opened, or a clone of one");
  }
  v1::BrokerRevokeRequest request;
  request.set_family(origin.family);
  request.set_channel(origin.number);
  return Revoke(request);
}

absl::StatusOr<Revocation> Broker::RevokeGrant(const Worker& worker, const std::string& name) {
  if (name.empty()) return absl::InvalidArgumentError("revoke: a grant has a name");
  v1::BrokerRevokeRequest request;
  request.set_worker(worker.id());
  request.set_grant(name);
  return Revoke(request);
}

absl::StatusOr<Revocation> Broker::RevokeGrants(const Worker& worker) {
  v1::BrokerRevokeRequest request;
  request.set_worker(worker.id());
  return Revoke(request);
}

absl::StatusOr<Revocation> Broker::Revoke(const v1::BrokerRevokeRequest& request) {
  grpc::ClientContext context;
  v1::BrokerRevokeResponse response;
  CB_RETURN_IF_ERROR(link_->Call(BrokerMethod::kRevoke, &context, request, &response));
  Revocation revocation;
  revocation.channels = static_cast<int>(response.channels());
  revocation.shut_down = response.shut_down();
  const std::set<std::string> incomplete(response.incomplete().begin(),
                                         response.incomplete().end());
  revocation.incomplete.assign(incomplete.begin(), incomplete.end());
  for (const v1::BrokerRevokeResponse::NotTakenBack& left : response.not_taken_back()) {
    revocation.not_taken_back.push_back({.service = left.service(),
                                         .method = left.method(),
                                         .field = left.field(),
                                         .channel = left.channel(),
                                         .descriptors = left.descriptors()});
  }
  return revocation;
}

absl::StatusOr<Audit> Broker::StartAudit(const AuditOptions& options) {
  grpc::ClientContext context;
  v1::StartAuditRequest request;
  v1::AuditSettings& settings = *request.mutable_settings();
  settings.set_allowed_one_in(options.allowed_one_in);
  settings.set_learn(options.learn);
  settings.set_events_per_minute(options.events_per_minute);
  v1::StartAuditResponse response;
  CB_RETURN_IF_ERROR(link_->Call(BrokerMethod::kStartAudit, &context, request, &response));
  return Audit(link_);
}

absl::StatusOr<v1::InspectResponse> Broker::Inspect() {
  grpc::ClientContext context;
  v1::InspectResponse response;
  CB_RETURN_IF_ERROR(
      link_->Call(BrokerMethod::kInspect, &context, v1::InspectRequest(), &response));
  return response;
}

}  // namespace capbroker
