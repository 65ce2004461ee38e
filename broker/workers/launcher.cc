#include "broker/workers/launcher.h"

#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "client/worker_birth.h"
#include "transport/bulk.h"

namespace capbroker::broker {
namespace {

// Records of ended workers for which nobody has waited yet.
constexpr size_t kMaxEndedRecords = 4096;

void Attach(UniqueFd fd, std::vector<UniqueFd>& descriptors, v1::Descriptor* field) {
  descriptors.push_back(std::move(fd));
  field->set_slot(static_cast<uint32_t>(descriptors.size()));
}

}  // namespace

absl::Status Launcher::Check(const v1::LaunchWorkerRequest& request) const {
  if ((request.entry() != 0) == request.has_program()) {
    return absl::InvalidArgumentError("launch worker: either an entry or a program");
  }
  if (request.entry() != 0 && !has_entries_) {
    return absl::FailedPreconditionError(
        "launch worker: an entry needs a broker forked from this program (Broker::Start); "
        "this one is a program of its own and launches programs");
  }
  if (request.grants_size() > static_cast<int>(kMaxGrants)) {
    return absl::InvalidArgumentError("launch worker: too many grants");
  }
  if (request.input().size() > kMaxInput) {
    return absl::InvalidArgumentError("launch worker: input too large");
  }
  std::set<absl::string_view> names;
  for (const v1::WorkerGrant& grant : request.grants()) {
    if (grant.name().empty() || grant.name().size() > kMaxGrantName ||
        !names.insert(grant.name()).second) {
      return absl::InvalidArgumentError(
          "launch worker: a grant's name is empty, too long or used twice");
    }
    if ((grant.connects() || grant.listens()) && !request.has_supervision()) {
      return absl::InvalidArgumentError("launch worker: connections need a supervisor");
    }
    if (grant.connects() && grant.listens()) {
      return absl::InvalidArgumentError("launch worker: a channel is of one service");
    }
    if (grant.has_open() == grant.has_channel()) {
      return absl::InvalidArgumentError("launch worker: a grant is a service or a channel");
    }
  }
  return absl::OkStatus();
}

absl::Status Launcher::Launch(const v1::LaunchWorkerRequest& request, TakeDescriptor take,
                              Launched launched) {
  CB_RETURN_IF_ERROR(Check(request));
  Preparation preparation;
  const uint64_t id = next_worker_++;
  absl::Status prepared = Prepare(request, take, preparation);
  if (prepared.ok()) prepared = AddSupervision(request, id, preparation);
  if (!prepared.ok()) {
    GiveUp(preparation.grants);
    return prepared;
  }
  LaunchedWorker::Events events = {
      .started =
          [this, id,
           launched = std::move(launched)](absl::StatusOr<std::vector<std::string>> layers) {
            OnStarted(id, std::move(layers), launched);
          },
      .ended = [this, id](const v1::WaitWorkerResponse& end) { OnEnded(id, end); }};
  absl::StatusOr<std::shared_ptr<LaunchedWorker>> worker =
      spares_.Employ(preparation.command, preparation.descriptors, events);
  if (*worker == nullptr) {
    worker = LaunchedWorker::Start(parts_, std::move(preparation.command),
                                   std::move(preparation.descriptors), std::move(events));
  }
  if (!worker.ok()) {
    GiveUp(preparation.grants);
    return worker.status();
  }
  for (const GrantedChannel& grant : preparation.grants) {
    if (ServedFamily* const family = families_.Find(grant.family)) {
      family->Grant(grant.channel, id, grant.name);
    }
  }
  Record& record = workers_[id];
  record.worker = *std::move(worker);
  record.grants = std::move(preparation.grants);
  record.journal = std::move(preparation.journal);
  return absl::OkStatus();
}

absl::Status Launcher::Prepare(const v1::LaunchWorkerRequest& request, TakeDescriptor take,
                               Preparation& preparation) {
  v1::ForkWorker& command = preparation.command;
  const auto pass = [&](bool present, const v1::Descriptor& from, v1::Descriptor* to) {
    if (!present || from.slot() == 0) {
      to->Clear();
      return absl::OkStatus();
    }
    CB_ASSIGN_OR_RETURN(UniqueFd fd, take(from));
    Attach(std::move(fd), preparation.descriptors, to);
    return absl::OkStatus();
  };
  command.set_entry(request.entry());
  CB_RETURN_IF_ERROR(pass(request.has_program(), request.program(), command.mutable_program()));
  CB_RETURN_IF_ERROR(pass(request.has_standard_input(), request.standard_input(),
                          command.mutable_standard_input()));
  CB_RETURN_IF_ERROR(pass(request.has_standard_output(), request.standard_output(),
                          command.mutable_standard_output()));
  CB_RETURN_IF_ERROR(pass(request.has_standard_error(), request.standard_error(),
                          command.mutable_standard_error()));
  *command.mutable_arguments() = request.arguments();
  *command.mutable_environment() = request.environment();
  *command.mutable_bounds() = request.bounds();
  command.set_resizes_files(request.resizes_files());
  command.set_makes_code(request.makes_code());
  command.set_accepts_connections(request.accepts_connections());
  return AddGrants(request, take, preparation);
}

absl::Status Launcher::AddSupervision(const v1::LaunchWorkerRequest& request, uint64_t worker,
                                      Preparation& preparation) {
  if (!request.has_supervision()) return absl::OkStatus();
  v1::ForkWorker& command = preparation.command;
  *command.mutable_supervision() = request.supervision();
  const v1::AuditSettings* const audit = parts_.audit->settings();
  if (audit == nullptr) return absl::OkStatus();
  command.set_journal_tells_allowed(audit->learn() || audit->allowed_one_in() != 0);
  UniqueFd journal;
  CB_ASSIGN_OR_RETURN(preparation.journal, WorkerJournal::Start(parts_, worker, journal));
  Attach(std::move(journal), preparation.descriptors, command.mutable_journal());
  return absl::OkStatus();
}

absl::Status Launcher::AddGrants(const v1::LaunchWorkerRequest& request, TakeDescriptor take,
                                 Preparation& preparation) {
  v1::WorkerBirth birth;
  birth.set_magic(kBirthMagic);
  birth.set_input(request.input());
  for (const v1::WorkerGrant& grant : request.grants()) {
    UniqueFd channel;
    if (grant.has_channel()) {
      CB_ASSIGN_OR_RETURN(channel, take(grant.channel()));
      ServedFamily* const family = families_.Find(grant.family());
      if (family != nullptr && family->Pin(grant.number()).ok()) {
        preparation.grants.push_back(
            {grant.name(), grant.family(), grant.number(), false, family->family().service().name});
      }
    } else {
      // A service that gets no process ends its channel, and the worker sees that.
      CB_ASSIGN_OR_RETURN(Families::Opened opened,
                          families_.Open(grant.open(), take, [](const absl::Status&) {}));
      preparation.grants.push_back(
          {grant.name(), opened.family, opened.number, true, grant.open().service()});
      channel = std::move(opened.channel);
    }
    // INVARIANT(one-holder-per-end): the worker's or its supervisor's.
    v1::ForkWorker& command = preparation.command;
    if (!grant.connects() && !grant.listens()) birth.add_names(grant.name());
    Attach(std::move(channel), preparation.descriptors,
           grant.connects()  ? command.add_outside()
           : grant.listens() ? command.add_listeners()
                             : command.add_channels());
  }
  // A program that knows nothing of all this has its standard descriptors alone.
  if (request.has_program() && request.has_supervision() && birth.input().empty() &&
      birth.names().empty()) {
    return absl::OkStatus();
  }
  const size_t size = birth.ByteSizeLong();
  CB_ASSIGN_OR_RETURN(UniqueFd memory, transport::MakeSealedMessage(size, [&](char* bytes) {
                        return birth.SerializeToArray(bytes, static_cast<int>(size));
                      }));
  Attach(std::move(memory), preparation.descriptors, preparation.command.mutable_birth());
  return absl::OkStatus();
}

void Launcher::OnStarted(uint64_t id, absl::StatusOr<std::vector<std::string>> layers,
                         const Launched& launched) {
  if (!layers.ok()) {
    // INVARIANT(fail-closed): nothing of a failed launch stays open.
    const auto failed = workers_.extract(id);
    if (!failed.empty()) GiveUp(failed.mapped().grants);
    launched(layers.status());
    return;
  }
  v1::AuditEvent event;
  event.set_kind(v1::AuditEvent::STARTED);
  event.set_text(absl::StrJoin(*layers, ", "));
  parts_.audit->Record(id, std::move(event));
  v1::LaunchWorkerResponse response;
  response.set_worker(id);
  for (std::string& layer : *layers) response.add_layers(std::move(layer));
  launched(std::move(response));
}

void Launcher::OnEnded(uint64_t id, const v1::WaitWorkerResponse& end) {
  const auto found = workers_.find(id);
  if (found == workers_.end()) return;
  Record& record = found->second;
  record.worker.reset();
  record.journal.reset();
  record.end = end;
  RecordEnd(id, end);
  Unpin(record.grants);
  const std::vector<Ended> waiting = std::exchange(record.waiting, {});
  if (record.forget) {
    workers_.erase(found);
  } else {
    ended_.push_back(id);
    if (ended_.size() > kMaxEndedRecords) {
      workers_.erase(ended_.front());
      ended_.pop_front();
    }
  }
  for (const Ended& told : waiting) told(end);
}

void Launcher::RecordEnd(uint64_t id, const v1::WaitWorkerResponse& end) {
  if (!end.violation().empty()) {
    v1::AuditEvent violation;
    violation.set_kind(v1::AuditEvent::VIOLATION);
    violation.set_text(end.violation());
    parts_.audit->Record(id, std::move(violation));
  }
  v1::AuditEvent exited;
  exited.set_kind(v1::AuditEvent::EXITED);
  exited.set_text(end.signal() != 0 ? absl::StrCat("killed by signal ", end.signal())
                                    : absl::StrCat("exited with ", end.exit_code()));
  if (!end.reason().empty()) absl::StrAppend(exited.mutable_text(), ": ", end.reason());
  parts_.audit->Record(id, std::move(exited));
}

absl::Status Launcher::Wait(uint64_t worker, Ended ended) {
  const auto found = workers_.find(worker);
  if (found == workers_.end()) return absl::NotFoundError("wait: no such worker");
  if (found->second.end.has_value()) {
    ended(*found->second.end);
  } else {
    found->second.waiting.push_back(std::move(ended));
  }
  return absl::OkStatus();
}

absl::Status Launcher::Kill(const v1::KillWorkerRequest& request) {
  const auto found = workers_.find(request.worker());
  if (found == workers_.end()) return absl::NotFoundError("kill: no such worker");
  Record& record = found->second;
  if (record.end.has_value()) {
    if (request.forget()) {
      std::erase(ended_, request.worker());
      workers_.erase(found);
    }
    return absl::OkStatus();
  }
  record.forget = record.forget || request.forget();
  if (!request.detach()) record.worker->Kill("killed by the application");
  return absl::OkStatus();
}

absl::Status Launcher::Signal(const v1::SignalWorkerRequest& request) {
  if (request.signal() < 1 || request.signal() > 64) {
    return absl::InvalidArgumentError("signal: no such signal");
  }
  const auto found = workers_.find(request.worker());
  if (found == workers_.end() || found->second.worker == nullptr) {
    return absl::NotFoundError("signal: no such worker, or it has ended");
  }
  return found->second.worker->Signal(static_cast<int>(request.signal()));
}

absl::StatusOr<std::vector<Launcher::GrantedChannel>> Launcher::GrantsOf(
    uint64_t worker, const std::string& name) const {
  const auto found = workers_.find(worker);
  if (found == workers_.end()) return absl::NotFoundError("revoke: no such worker");
  std::vector<GrantedChannel> grants = found->second.grants;
  if (name.empty()) return grants;
  std::erase_if(grants, [&name](const GrantedChannel& grant) { return grant.name != name; });
  if (grants.empty()) return absl::NotFoundError("revoke: the worker has no such grant");
  return grants;
}

// Of a launch that failed.
void Launcher::GiveUp(const std::vector<GrantedChannel>& grants) {
  for (const GrantedChannel& grant : grants) {
    ServedFamily* const family = families_.Find(grant.family);
    if (grant.opened && family != nullptr) family->End();
  }
  Unpin(grants);
}

void Launcher::Unpin(const std::vector<GrantedChannel>& grants) {
  for (const GrantedChannel& grant : grants) {
    ServedFamily* const family = families_.Find(grant.family);
    if (!grant.opened && family != nullptr) family->Unpin(grant.channel);
  }
}

void Launcher::Describe(v1::InspectResponse* response) const {
  for (const auto& [id, record] : workers_) {
    if (!record.end.has_value()) response->add_workers(id);
  }
  response->set_spare_workers(static_cast<uint32_t>(spares_.count()));
}

}  // namespace capbroker::broker
