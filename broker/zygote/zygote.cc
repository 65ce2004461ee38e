#include "broker/zygote/zygote.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/cgroup.h"
#include "base/errno_status.h"
#include "base/file_grant.h"
#include "base/heap_holes.h"
#include "base/lifeline.h"
#include "base/pid_fd.h"
#include "base/status_macros.h"
#include "broker/zygote/process.h"
#include "broker/zygote/service_confinement.h"
#include "broker/zygote/worker_places.h"
#include "capbroker/v1/zygote.pb.h"
#include "sandbox/layers/layers.h"
#include "sandbox/service_sandbox.h"
#include "sandbox/supervisor/outside.h"
#include "sandbox/supervisor/supervision.h"
#include "sandbox/worker_cgroups.h"
#include "sandbox/worker_sandbox.h"
#include "serving/process/prepared_service.h"
#include "serving/process/rehearsal.h"
#include "serving/process/service_process.h"
#include "serving/service.h"
#include "serving/service_needs.h"
#include "transport/lane_socket.h"
#include "transport/packet.h"

namespace capbroker::broker {
namespace {

// Exit code of a service process that could not even start.
constexpr int kStartFailed = 125;

// Until it is looked again whether the last process in a cgroup is gone.
constexpr int kTidyMilliseconds = 10;

struct ForkedProcess {
  pid_t pid = 0;
  PidFd process;
  // Of a service process:
  ViolationWatch watch = {};
  std::string layers = {};
  // Of a worker that has one:
  std::string cgroup = {};
  UniqueFd cpu_usage = UniqueFd();  // to be told
};

// One that nothing confines may execute programs, with the application's capabilities.
bool EveryServiceIsConfined() {
  for (const std::string& name : serving::RegisteredServices()) {
    const serving::ServiceDefinition& service = *serving::FindService(name);
    if (service.needs != nullptr && !service.needs().unconfined.empty()) return false;
  }
  return true;
}

// The descriptors of one command, taken by the fields that name them.
class CommandDescriptors {
 public:
  explicit CommandDescriptors(std::vector<UniqueFd> received) : received_(std::move(received)) {}

  UniqueFd Take(const v1::Descriptor& field) {
    if (field.slot() == 0 || field.slot() > received_.size()) return UniqueFd();
    return std::move(received_[field.slot() - 1]);
  }

 private:
  std::vector<UniqueFd> received_;
};

absl::Duration FromProto(const google::protobuf::Duration& proto) {
  return absl::Seconds(proto.seconds()) + absl::Nanoseconds(proto.nanos());
}

uint64_t Microseconds(const timeval& time) {
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000 + static_cast<uint64_t>(time.tv_usec);
}

class Zygote {
 public:
  explicit Zygote(ZygoteStart start) : start_(std::move(start)) {}
  int Run();

 private:
  // What the processes of one service inherit.
  struct Prepared {
    serving::PreparedService service;
    ServiceConfinement confinement;
  };

  bool Watch(FdRef fd, uint64_t key);
  void Unwatch(FdRef fd);
  void Look(uint64_t call);
  bool ReceiveCommands();
  absl::StatusOr<ForkedProcess> Obey(uint64_t call, const v1::ZygoteCommand& command,
                                     CommandDescriptors descriptors);
  absl::StatusOr<ForkedProcess> ForkService(const v1::ForkService& command,
                                            CommandDescriptors descriptors);
  absl::StatusOr<ForkedProcess> ForkSpare(const v1::ForkSpare& command,
                                          CommandDescriptors descriptors);
  [[noreturn]] void BeService(const Prepared& prepared, serving::ServiceProcessStart start,
                              UniqueFd lifeline, UniqueFd hand_over);
  absl::StatusOr<const Prepared*> PrepareService(const serving::ServiceDefinition& service);
  void PrepareAhead();
  absl::StatusOr<ForkedProcess> ForkWorker(uint64_t call, const v1::ForkWorker& command,
                                           CommandDescriptors descriptors);
  absl::StatusOr<sandbox::Started> StartWorker(const v1::ForkWorker& command, sandbox::Start start,
                                               CommandDescriptors descriptors);
  absl::Status AddCgroup(uint64_t call, const v1::ForkWorker& command, UniqueFd parent,
                         sandbox::Start& start, ForkedProcess& worker);
  absl::Status PrepareSandbox();
  void Reap(uint64_t call, const ForkedProcess& child);
  void Report(uint64_t call, const v1::ZygoteReport& report, std::vector<FdRef> descriptors = {});

  // What events are known by: a child has twice the number of its call, its watch one more.
  static constexpr uint64_t kControl = 0;

  ZygoteStart start_;
  UniqueFd events_;
  transport::ReceiveBuffer buffer_;
  // Nothing until the first worker, or the first idle moment after a command: services
  // start without it, and a spare sleeps without it.
  bool commanded_ = false;
  std::optional<absl::StatusOr<sandbox::WorkerSandbox>> sandbox_;
  std::optional<sandbox::WorkerCgroups> cgroups_;  // nothing until the first worker with one
  std::map<std::string, Prepared> services_;       // by name; those that were prepared
  std::map<uint64_t, ForkedProcess> children_;     // by the call that asked for them
};

int Zygote::Run() {
  events_.Reset(epoll_create1(EPOLL_CLOEXEC));
  if (!events_.valid() || !Watch(start_.control, kControl)) return kStartFailed;
  epoll_event ready[64];
  while (true) {
    const bool has_to_prepare = commanded_ && !sandbox_.has_value();
    const bool is_tidy = !cgroups_.has_value() || cgroups_->Tidy();
    const int count = epoll_wait(events_.get(), ready, 64,
                                 has_to_prepare ? 0
                                 : is_tidy      ? -1
                                                : kTidyMilliseconds);
    if (count == 0 && has_to_prepare) PrepareAhead();
    bool has_commands = false;
    for (int i = 0; i < count; ++i) {
      if (ready[i].data.u64 == kControl) {
        has_commands = true;
      } else {
        Look(ready[i].data.u64 / 2);
      }
    }
    if (has_commands && !ReceiveCommands()) return 0;
  }
}

// By epoll: what one event takes does not depend on how many children there are.
bool Zygote::Watch(FdRef fd, uint64_t key) {
  if (!fd.valid()) return true;
  epoll_event event = {.events = EPOLLIN, .data = {.u64 = key}};
  return epoll_ctl(events_.get(), EPOLL_CTL_ADD, fd.get(), &event) == 0;
}

// To be called before it is closed: children may have duplicates, which would go on being watched.
void Zygote::Unwatch(FdRef fd) {
  if (fd.valid()) (void)epoll_ctl(events_.get(), EPOLL_CTL_DEL, fd.get(), nullptr);
}

void Zygote::Look(uint64_t call) {
  const auto found = children_.find(call);
  if (found == children_.end()) return;  // reaped for another event
  ForkedProcess& child = found->second;
  // What it was killed for is heard before it is reaped.
  pollfd watched = {child.watch.fd().get(), POLLIN, 0};
  if (poll(&watched, 1, 0) > 0) {
    Unwatch(child.watch.fd());
    if (child.watch.Hear(watched.revents)) (void)child.process.Signal(SIGKILL);
    if (!Watch(child.watch.fd(), 2 * call + 1)) (void)child.process.Signal(SIGKILL);
  }
  Reap(call, child);
}

bool Zygote::ReceiveCommands() {
  while (true) {
    absl::StatusOr<std::optional<transport::ReceivedPacket>> packet =
        transport::ReceivePacket(start_.control, buffer_, transport::PacketDirection::kToService,
                                 transport::Blocking::kDontWait);
    if (!packet.ok()) return false;
    if (!packet->has_value()) return true;
    commanded_ = true;
    const uint64_t call = (*packet)->view.header.call;
    v1::ZygoteCommand command;
    absl::StatusOr<ForkedProcess> forked = absl::InternalError("zygote: malformed command");
    const absl::string_view bytes = (*packet)->view.message;
    if (command.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      forked = Obey(call, command, CommandDescriptors(std::move((*packet)->descriptors)));
    }
    v1::ZygoteReport report;
    if (!forked.ok()) {
      report.mutable_failed()->set_code(static_cast<int>(forked.status().code()));
      report.mutable_failed()->set_message(std::string(forked.status().message()));
      Report(call, report);
      continue;
    }
    report.mutable_forked()->set_process(forked->pid);
    report.mutable_forked()->mutable_pidfd()->set_slot(1);
    report.mutable_forked()->set_layers(forked->layers);
    if (forked->cpu_usage.valid()) report.mutable_forked()->mutable_cpu_usage()->set_slot(2);
    Report(call, report, {forked->process.fd(), forked->cpu_usage});
    forked->cpu_usage.Reset();
    const ForkedProcess& child = children_.emplace(call, *std::move(forked)).first->second;
    // INVARIANT(no-hang): nobody would hear of its end. With this process the broker takes it over.
    if (!Watch(child.process.fd(), 2 * call) || !Watch(child.watch.fd(), 2 * call + 1)) _exit(1);
  }
}

absl::StatusOr<ForkedProcess> Zygote::Obey(uint64_t call, const v1::ZygoteCommand& command,
                                           CommandDescriptors descriptors) {
  switch (command.command_case()) {
    case v1::ZygoteCommand::kForkService:
      return ForkService(command.fork_service(), std::move(descriptors));
    case v1::ZygoteCommand::kForkWorker:
      return ForkWorker(call, command.fork_worker(), std::move(descriptors));
    case v1::ZygoteCommand::kForkSpare:
      return ForkSpare(command.fork_spare(), std::move(descriptors));
    default:
      return absl::InternalError("zygote: unknown command");
  }
}

absl::StatusOr<ForkedProcess> Zygote::ForkSpare(const v1::ForkSpare& command,
                                                CommandDescriptors descriptors) {
  ZygoteStart spare = {.control = descriptors.Take(command.control()),
                       .lifeline = descriptors.Take(command.lifeline()),
                       .enter_worker = start_.enter_worker,
                       .service_descriptors = start_.service_descriptors};
  CB_ASSIGN_OR_RETURN(Cloned cloned, CloneProcess({}));
  if (cloned.pid == 0) _exit(RunZygote(std::move(spare)));
  return ForkedProcess{cloned.pid, std::move(cloned.process)};
}

absl::StatusOr<ForkedProcess> Zygote::ForkService(const v1::ForkService& command,
                                                  CommandDescriptors descriptors) {
  const serving::ServiceDefinition* service = serving::FindService(command.service());
  if (service == nullptr) return absl::NotFoundError("fork service: not linked");
  serving::ServiceProcessStart start;
  start.supervisor = descriptors.Take(command.supervisor());
  start.commands = descriptors.Take(command.commands());
  UniqueFd lifeline = descriptors.Take(command.lifeline());
  CB_ASSIGN_OR_RETURN(const Prepared* prepared, PrepareService(*service));
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return ErrnoToStatus(errno, "fork service: socket for the listener");
  }
  UniqueFd hand_over(ends[0]), watch(ends[1]);
  CB_ASSIGN_OR_RETURN(Cloned cloned, CloneProcess({}));
  if (cloned.pid == 0) {
    BeService(*prepared, std::move(start), std::move(lifeline), std::move(hand_over));
  }
  return ForkedProcess{cloned.pid, std::move(cloned.process), ViolationWatch(std::move(watch)),
                       prepared->confinement.layers()};
}

absl::StatusOr<const Zygote::Prepared*> Zygote::PrepareService(
    const serving::ServiceDefinition& service) {
  const auto found = services_.find(service.name);
  if (found != services_.end()) return &found->second;
  CB_ASSIGN_OR_RETURN(serving::PreparedService prepared,
                      serving::PreparedService::Prepare(service));
  CB_ASSIGN_OR_RETURN(ServiceConfinement confinement, ServiceConfinement::Prepare(service));
  Prepared both{std::move(prepared), std::move(confinement)};
  return &services_.emplace(service.name, std::move(both)).first->second;
}

// In an idle moment: what starts are spared.
void Zygote::PrepareAhead() {
  (void)PrepareSandbox();
  for (const std::string& name : serving::RegisteredServices()) {
    const absl::StatusOr<const Prepared*> prepared = PrepareService(*serving::FindService(name));
    if (prepared.ok()) (void)serving::Rehearse((*prepared)->service);
  }
  FillHeapHoles();
}

void Zygote::BeService(const Prepared& prepared, serving::ServiceProcessStart start,
                       UniqueFd lifeline, UniqueFd hand_over) {
  const serving::ServiceDefinition& service = prepared.service.definition();
  // Above all: nothing may outlive the broker. INVARIANT(no-orphans)
  const int held = lifeline.get();
  if (!DieWithLifeline(std::move(lifeline)).ok()) _exit(kStartFailed);
  // INVARIANT(one-descriptor-one-capability): nothing else is open here, in
  // particular not the lane on which the zygote obeys.
  if (!CloseAllBut({start.supervisor, start.commands, hand_over, FdRef::FromRaw(held)}).ok()) {
    _exit(kStartFailed);
  }
  start.confine = [&confinement = prepared.confinement,
                   number = std::move(hand_over).Release()](const serving::ServiceReach& reach) {
    return confinement.Enter(reach, UniqueFd(number));
  };
  LeaveForeground();
  NameProcess(service.descriptor != nullptr ? service.descriptor->full_name() : service.name);
  (void)setrlimit(RLIMIT_NOFILE, &start_.service_descriptors);
  // Not exit(): what is registered with atexit() is the application's.
  _exit(serving::RunServiceProcess(prepared.service, std::move(start)));
}

absl::Status Zygote::PrepareSandbox() {
  if (!sandbox_.has_value()) sandbox_ = sandbox::WorkerSandbox::Prepare(sandbox::kRequired);
  CB_RETURN_IF_ERROR(sandbox_->status());
  return (*sandbox_)->host().CheckFloor();
}

sandbox::Supervision FromProto(const v1::Supervision& proto) {
  sandbox::Supervision supervision;
  for (const v1::FileGrant& file : proto.files()) {
    supervision.files.push_back(
        {.path = file.path(),
         .extent = file.tree() ? FileGrant::Extent::kTree : FileGrant::Extent::kFile,
         .access = (file.read() ? kReadFiles : 0u) | (file.write() ? kWriteFiles : 0u) |
                   (file.create() ? kCreateFiles : 0u) | (file.run() ? kRunFiles : 0u)});
  }
  if (proto.refusal() == v1::Supervision::NO_ACCESS) supervision.refusal = Refusal::kAccess;
  if (proto.refusal() == v1::Supervision::ABSENT) supervision.refusal = Refusal::kAbsent;
  supervision.processes = proto.processes();
  supervision.working_directory = proto.working_directory();
  supervision.file_mode_mask = proto.file_mode_mask() & 0777;
  return supervision;
}

// A cgroup for the worker that `start` will start, if it is to have one.
absl::Status Zygote::AddCgroup(uint64_t call, const v1::ForkWorker& command, UniqueFd parent,
                               sandbox::Start& start, ForkedProcess& worker) {
  if (!parent.valid()) return absl::OkStatus();
  if (!cgroups_.has_value()) {
    CB_ASSIGN_OR_RETURN(cgroups_, sandbox::WorkerCgroups::In(std::move(parent)));
  }
  std::string name = absl::StrCat("worker.", call);
  const uint32_t companions = command.has_supervision() ? 2 : 1;
  CB_ASSIGN_OR_RETURN(Cgroup cgroup, cgroups_->Make(name, start.bounds, companions));
  worker.cgroup = std::move(name);
  if (command.supervision().processes() && command.bounds().has_cpu_time()) {
    CB_ASSIGN_OR_RETURN(worker.cpu_usage, cgroup.OpenFile("cpu.stat", O_RDONLY));
  }
  start.cgroup = std::move(cgroup).Take();
  return absl::OkStatus();
}

absl::StatusOr<ForkedProcess> Zygote::ForkWorker(uint64_t call, const v1::ForkWorker& command,
                                                 CommandDescriptors descriptors) {
  // INVARIANT(fail-closed): without the floor there are no workers.
  CB_RETURN_IF_ERROR(PrepareSandbox());
  sandbox::Start start;
  for (const auto& [field, number] : WorkerPlaces(command)) {
    if (UniqueFd fd = descriptors.Take(*field); fd.valid()) {
      start.descriptors.push_back({std::move(fd), number});
    }
  }
  const v1::WorkerBounds& bounds = command.bounds();
  start.bounds.cpu_time = FromProto(bounds.cpu_time());
  start.bounds.memory_bytes = bounds.memory_bytes();
  start.bounds.descriptors = bounds.descriptors();
  start.bounds.threads = bounds.processes();
  start.bounds.file_size_bytes = bounds.file_size_bytes();
  start.resizes_files = command.resizes_files();
  start.makes_code = command.makes_code();
  start.accepts_connections = command.accepts_connections();
  if (command.has_supervision()) {
    start.supervision = FromProto(command.supervision());
    start.supervision->journal = descriptors.Take(command.journal());
    start.supervision->journal_tells_allowed = command.journal_tells_allowed();
    for (const v1::Descriptor& channel : command.outside()) {
      start.supervision->outside.connectors.push_back(descriptors.Take(channel));
    }
    for (const v1::Descriptor& channel : command.listeners()) {
      start.supervision->outside.listeners.push_back(descriptors.Take(channel));
    }
    start.supervision->make_outside = sandbox::RegisteredOutside();
  }
  start.lifeline = descriptors.Take(command.lifeline());
  start.report = descriptors.Take(command.report());
  ForkedProcess worker;
  const absl::Status bounded =
      AddCgroup(call, command, descriptors.Take(command.cgroups()), start, worker);
  // INVARIANT(fail-closed)
  absl::StatusOr<sandbox::Started> started =
      bounded.ok() ? StartWorker(command, std::move(start), std::move(descriptors))
                   : absl::StatusOr<sandbox::Started>(bounded);
  if (!started.ok()) {
    if (!worker.cgroup.empty()) cgroups_->Remove(worker.cgroup);
    return started.status();
  }
  worker.pid = started->init_pid;
  worker.process = std::move(started->init);
  return worker;
}

absl::StatusOr<sandbox::Started> Zygote::StartWorker(const v1::ForkWorker& command,
                                                     sandbox::Start start,
                                                     CommandDescriptors descriptors) {
  const auto enter = [this](uint64_t entry) {
    ForgetEnvironment();
    return start_.enter_worker(entry);
  };
  if (command.has_job()) {
    return (*sandbox_)->ForkSpare(std::move(start), descriptors.Take(command.job()), enter);
  }
  if (command.entry() != 0) {
    return (*sandbox_)->Fork(std::move(start), [&] { return enter(command.entry()); });
  }
  return (*sandbox_)->Execute(std::move(start), descriptors.Take(command.program()),
                              {command.arguments().begin(), command.arguments().end()},
                              {command.environment().begin(), command.environment().end()});
}

void Zygote::Reap(uint64_t call, const ForkedProcess& child) {
  const absl::StatusOr<std::optional<ProcessEnd>> end = child.process.TryWait();
  if (end.ok() && !end->has_value()) return;
  v1::ZygoteReport report;
  v1::ZygoteReport::Ended* ended = report.mutable_ended();
  if (end.ok()) {
    ended->set_exit_code((*end)->exit_code);
    ended->set_signal((*end)->signal);
    ended->set_user_microseconds(Microseconds((*end)->usage.ru_utime));
    ended->set_system_microseconds(Microseconds((*end)->usage.ru_stime));
    ended->set_max_resident_bytes(static_cast<uint64_t>((*end)->usage.ru_maxrss) * 1024);
    ended->set_violation(child.watch.violation());
    ended->set_out_of_memory(!child.cgroup.empty() && cgroups_->RanOutOfMemory(child.cgroup));
  } else {
    ended->set_exit_code(kStartFailed);
  }
  Unwatch(child.process.fd());
  Unwatch(child.watch.fd());
  // Before its end is told: what is not there any more is not found by who was told.
  if (!child.cgroup.empty()) cgroups_->Remove(child.cgroup);
  children_.erase(call);
  Report(call, report);
}

void Zygote::Report(uint64_t call, const v1::ZygoteReport& report, std::vector<FdRef> descriptors) {
  std::erase_if(descriptors, [](FdRef descriptor) { return !descriptor.valid(); });
  const std::string message = report.SerializeAsString();
  transport::OutgoingPacket packet;
  packet.header.type = transport::PacketType::kResponse;
  packet.header.call = call;
  packet.message = message;
  packet.descriptors = descriptors;
  while (true) {
    const transport::SendResult sent = transport::SendPacket(start_.control, packet);
    if (sent.status.ok()) return;
    // The broker is gone; its lifeline is about to end this process as well.
    if (!sent.would_block) _exit(0);
    pollfd p = {start_.control.get(), POLLOUT, 0};
    poll(&p, 1, -1);
  }
}

}  // namespace

int RunZygote(ZygoteStart start) {
  const int held = start.lifeline.get();
  if (!DieWithLifeline(std::move(start.lifeline)).ok()) return kStartFailed;
  ResetSignals();
  LeaveForeground();
  NameProcess("zygote");
  ForbidInspection();
  if (!CloseAllBut({start.control, FdRef::FromRaw(held)}).ok()) return kStartFailed;
  // Otherwise each service process does it. The zygote itself executes nothing.
  if (EveryServiceIsConfined() && !sandbox::EmptyBoundingSetForServices().ok()) return kStartFailed;
  // Not destroyed on any path: children of this process go on with its memory.
  return (new Zygote(std::move(start)))->Run();
}

}  // namespace capbroker::broker
