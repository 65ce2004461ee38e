#include "sandbox/worker_sandbox.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/file_grant.h"
#include "base/status_macros.h"
#include "sandbox/descriptor_table.h"
#include "sandbox/init.h"
#include "sandbox/layers/clone_confined.h"
#include "sandbox/layers/confinement.h"
#include "sandbox/layers/identity.h"
#include "sandbox/layers/landlock.h"
#include "sandbox/layers/root_view.h"
#include "sandbox/layers/shared_surroundings.h"
#include "sandbox/layers/user_threads.h"
#include "sandbox/policies/worker_policy.h"
#include "sandbox/supervisor/granted_places.h"
#include "sandbox/supervisor/outside.h"
#include "sandbox/supervisor/supervisor.h"
#include "sandbox/table/filter_compiler.h"
#include "sandbox/worker.h"

namespace capbroker::sandbox {
namespace {

constexpr int kAbiScoping = 6;  // signals and abstract sockets

constexpr LayerSet kNamespacesBesidesUser = {
    Layer::kMountNamespace, Layer::kPidNamespace, Layer::kNetworkNamespace,
    Layer::kIpcNamespace,   Layer::kUtsNamespace, Layer::kCgroupNamespace,
};

absl::Status ToStatus(StepResult result) {
  if (result.ok()) return absl::OkStatus();
  return ErrnoToStatus(result.error_number,
                       absl::StrCat("prepare worker: ", StepName(result.failed)));
}

// What is left of the offered layers without those in `off`, some of which
// others stand on.
LayerSet LayersWithout(const HostFacts& host, LayerSet off) {
  LayerSet left = host.offered.Without(off);
  if (!left.Has(Layer::kSystemCallTable)) left = left.Without(Layer::kViolationReports);
  if (!left.Has(Layer::kUserNamespace) && !HasCapability(CAP_SYS_ADMIN)) {
    left = left.Without(kNamespacesBesidesUser);
  }
  const bool drops_groups = left.Has(Layer::kUnprivilegedUid) ||
                            (!left.Has(Layer::kUserNamespace) && HasCapability(CAP_SETGID));
  if (!drops_groups && !HasNoSupplementaryGroups()) {
    left = left.Without(Layer::kNoSupplementaryGroups);
  }
  return left;
}

absl::Status CheckRequired(const HostFacts& host, LayerSet in_force, LayerSet required) {
  const LayerSet missing = required.Without(in_force);
  if (missing.empty()) return absl::OkStatus();
  std::string message = "prepare workers: this host lacks required layers:";
  for (int i = 0; i < kLayerCount; ++i) {
    const Layer layer = static_cast<Layer>(i);
    if (!missing.Has(layer)) continue;
    const auto why = host.forbidden.find(layer);
    absl::StrAppend(&message, " [", LayerName(layer), ": ",
                    why == host.forbidden.end() ? "switched off" : why->second, "]");
  }
  return absl::FailedPreconditionError(message);
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

bool IsWithin(const std::string& path, const std::string& tree) {
  return (path + "/").rfind(tree + "/", 0) == 0;
}

// What a worker writes it must not execute. Who is granted all files for writing is meant to
// have them.
bool WritesWhatItRuns(const std::vector<FileGrant>& grants) {
  for (const FileGrant& run : grants) {
    if ((run.access & kRunFiles) == 0) continue;
    for (const FileGrant& write : grants) {
      const bool writes = (write.access & (kWriteFiles | kCreateFiles)) != 0 && write.path != "/";
      if (writes && (IsWithin(run.path, write.path) || IsWithin(write.path, run.path))) return true;
    }
  }
  return false;
}

bool IsNormalName(const std::string& name) {
  return !name.empty() && name.size() < PATH_MAX && name.find('\0') == std::string::npos &&
         NormalName(name) == name;
}

}  // namespace

struct WorkerSandbox::State {
  HostFacts host;
  LayerSet in_force;
  DescriptorSight sight = DescriptorSight::kNone;
  pid_t owner = 0;
  PidFd self;
  UniqueFd null;   // /dev/null
  UniqueFd statm;  // of this process
  UniqueFd deny_all;
  std::optional<SharedSurroundings> surroundings;
  std::vector<ProgramPlace> program_places;
  std::vector<UniqueFd> loaders;
  CompiledFilter init_table;
  CompiledFilter supervisor_table;
  std::map<WorkerTable, CompiledFilter> worker_tables;  // made at first use
  CompiledFilter connecting_supervisor_table;
  uint32_t next_id = 0;

  absl::StatusOr<const CompiledFilter*> Table(WorkerTable::Kind kind, const Start& start);
  absl::Status CheckMayStart() const;
  bool MayShareSurroundings() const;
  // `job`: of a spare.
  absl::StatusOr<Started> Fork(Start start, FdRef job, absl::FunctionRef<int(uint64_t)> entry);
  // Everything of a plan but what runs.
  absl::StatusOr<InitPlan> Plan(const Start& start, WorkerTable::Kind kind, FdRef ruleset);
  absl::StatusOr<std::vector<Placement>> Placements(const Start& start, bool close_on_exec) const;
  absl::Status Check(const std::optional<Supervision>& supervision, WorkerTable::Kind kind) const;
  // What `program` may do; `with_places`: it opens its libraries by itself.
  absl::StatusOr<UniqueFd> ProgramRuleset(FdRef program, bool with_places) const;
};

absl::StatusOr<const CompiledFilter*> WorkerSandbox::State::Table(WorkerTable::Kind kind,
                                                                  const Start& start) {
  WorkerTable wanted = {.kind = kind,
                        .resizes_files = start.resizes_files,
                        .makes_code = start.makes_code,
                        .accepts = start.accepts_connections,
                        .has_own_root = in_force.Has(Layer::kMountNamespace),
                        .has_own_pids = in_force.Has(Layer::kPidNamespace),
                        .sight = sight,
                        .has_own_host_name = in_force.Has(Layer::kUtsNamespace)};
  if (start.supervision.has_value()) {
    wanted.supervised = true;
    wanted.connects = !start.supervision->outside.empty();
    wanted.accepts |= !start.supervision->outside.listeners.empty();
    wanted.processes = start.supervision->processes;
    wanted.scopes_signals = host.landlock_abi >= kAbiScoping;
    if (start.supervision->refusal != Refusal::kNotCapable) wanted.refused_errno = EPERM;
  }
  const auto found = worker_tables.find(wanted);
  if (found != worker_tables.end()) return &found->second;
  const DieAction die =
      in_force.Has(Layer::kViolationReports) ? DieAction::kNotifyListener : DieAction::kKillProcess;
  CB_ASSIGN_OR_RETURN(CompiledFilter table, CompileFilter(WorkerPolicy(wanted), die));
  return &worker_tables.emplace(wanted, std::move(table)).first->second;
}

absl::Status WorkerSandbox::State::CheckMayStart() const {
  if (getpid() != owner) {
    return absl::FailedPreconditionError("start worker: prepared in another process");
  }
  return CheckSingleThreaded();
}

// Ids are taken from outside: nothing is left to do for which an init needs the host's files.
bool WorkerSandbox::State::MayShareSurroundings() const {
  return in_force.HasAll({Layer::kMountNamespace, Layer::kNetworkNamespace, Layer::kLandlock,
                          Layer::kUnprivilegedUid}) &&
         host.landlock_abi >= kAbiScoping && HasCapability(CAP_SYS_ADMIN) &&
         HasCapability(CAP_SYS_CHROOT);
}

absl::Status WorkerSandbox::State::Check(const std::optional<Supervision>& supervision,
                                         WorkerTable::Kind kind) const {
  if (!supervision.has_value()) return absl::OkStatus();
  const LayerSet missing = LayerSet{Layer::kLandlock, Layer::kViolationReports}.Without(in_force);
  if (!missing.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("start worker: a supervisor needs ", missing.ToString()));
  }
  if (supervision->processes && kind == WorkerTable::Kind::kForked) {
    return absl::InvalidArgumentError("start worker: a forked one has no further processes");
  }
  // INVARIANT(no-orphans): all of them end with their init.
  if (supervision->processes && !in_force.Has(Layer::kPidNamespace)) {
    return absl::FailedPreconditionError("start worker: processes need a pid namespace");
  }
  if (supervision->files.size() > kMostGrants) {
    return absl::InvalidArgumentError(absl::StrCat("start worker: ", supervision->files.size(),
                                                   " grants of files, at most ", kMostGrants));
  }
  if (supervision->outside.size() > kMostOutsideChannels) {
    return absl::InvalidArgumentError(absl::StrCat("start worker: ", supervision->outside.size(),
                                                   " channels of connections, at most ",
                                                   kMostOutsideChannels));
  }
  if (!supervision->outside.empty() && sight != DescriptorSight::kDuplicates) {
    return absl::FailedPreconditionError(
        "start worker: connections need pidfd_getfd, which this host forbids");
  }
  if (!supervision->outside.empty() && supervision->make_outside == nullptr) {
    return absl::FailedPreconditionError(
        "start worker: nothing that this program links can connect or listen for a worker");
  }
  for (const FileGrant& grant : supervision->files) {
    if (!IsNormalName(grant.path) || grant.access == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("start worker: grant of \"", absl::CHexEscape(grant.path),
                       "\": not an absolute path in normal form, or no access"));
    }
    const bool writes = (grant.access & (kWriteFiles | kCreateFiles)) != 0;
    if ((grant.access & kRunFiles) != 0 &&
        (writes || !supervision->processes || grant.path == "/")) {
      return absl::InvalidArgumentError(absl::StrCat(
          "start worker: grant of \"", absl::CHexEscape(grant.path),
          "\": running programs needs processes, no writing, and a directory below the root"));
    }
  }
  if (WritesWhatItRuns(supervision->files)) {
    return absl::InvalidArgumentError(
        "start worker: what is granted for running is granted for writing, too");
  }
  if (!IsNormalName(supervision->working_directory)) {
    return absl::InvalidArgumentError(absl::StrCat("start worker: working directory \"",
                                                   absl::CHexEscape(supervision->working_directory),
                                                   "\": not an absolute path in normal form"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Placement>> WorkerSandbox::State::Placements(const Start& start,
                                                                        bool close_on_exec) const {
  std::vector<Placement> placements;
  std::set<int> taken;
  for (const PlacedFd& placed : start.descriptors) {
    if (placed.number < 0 || placed.number >= kGrantedPlaces ||
        !taken.insert(placed.number).second) {
      return absl::InvalidArgumentError(absl::StrCat("start worker: descriptor number ",
                                                     placed.number, " twice or not below ",
                                                     kGrantedPlaces));
    }
    CB_RETURN_IF_ERROR(CheckGrantable(placed.descriptor));
    placements.push_back({placed.descriptor.get(), placed.number, close_on_exec});
  }
  for (int standard = 0; standard <= 2; ++standard) {
    if (taken.insert(standard).second) placements.push_back({null.get(), standard, close_on_exec});
  }
  return placements;
}

absl::StatusOr<InitPlan> WorkerSandbox::State::Plan(const Start& start, WorkerTable::Kind kind,
                                                    FdRef ruleset) {
  InitPlan plan;
  plan.confinement.layers = in_force;
  plan.confinement.own_ids = {geteuid(), getegid()};
  if (in_force.Has(Layer::kUnprivilegedUid)) {
    const uint32_t id = kFirstWorkerId + next_id++ % kWorkerIdCount;
    plan.confinement.assigned = {id, id};
  }
  plan.confinement.starter = self.fd();
  plan.confinement.ruleset = ruleset;
  plan.confinement.cgroup = start.cgroup;
  plan.lifeline = start.lifeline;
  plan.report = start.report;
  plan.table = &init_table;

  WorkerPlan& worker = plan.worker;
  const bool forked = kind == WorkerTable::Kind::kForked;
  worker.layers = in_force;
  worker.ruleset = ruleset;
  CB_ASSIGN_OR_RETURN(worker.table, Table(kind, start));
  CB_ASSIGN_OR_RETURN(worker.descriptors, Placements(start, /*close_on_exec=*/forked));
  const Bounds& bounds = start.bounds;
  // Room for what is placed, and below the hard limit that a start cannot
  // exceed.
  rlimit present;
  if (getrlimit(RLIMIT_NOFILE, &present) != 0) return ErrnoToStatus(errno, "start worker: limits");
  uint64_t descriptors = DescriptorBound(bounds);
  for (const Placement& placement : worker.descriptors) {
    descriptors = std::max(descriptors, static_cast<uint64_t>(placement.to) + kRoomAbovePlaces);
  }
  descriptors = std::min<uint64_t>(descriptors, present.rlim_max - 1);
  worker.descriptor_limit = {descriptors, descriptors};
  ImageSize image;
  if (forked) {
    CB_ASSIGN_OR_RETURN(image, ReadImageSize(statm));
  }
  const bool shares_user =
      !in_force.Has(Layer::kUserNamespace) && !in_force.Has(Layer::kUnprivilegedUid);
  worker.limits = LimitsFor(bounds, image, shares_user ? ThreadsOfUser(getuid()) : 0);
  worker.program_number = static_cast<int>(descriptors);
  if (start.supervision.has_value()) {
    plan.confinement.supervised = true;
    plan.supervisor.table =
        start.supervision->outside.empty() ? &supervisor_table : &connecting_supervisor_table;
    plan.supervisor.workers_table = worker.table;
    plan.supervisor.supervision = &*start.supervision;
    plan.supervisor.sight = sight;
    plan.supervisor.limits = worker.limits;
    // The last number that it can have.
    plan.supervisor.working_place_number = static_cast<int>(descriptors) - 1;
    worker.working_place_number = plan.supervisor.working_place_number;
  }
  return plan;
}

absl::StatusOr<UniqueFd> WorkerSandbox::State::ProgramRuleset(FdRef program,
                                                              bool with_places) const {
  UniqueFd ruleset;
  CB_RETURN_IF_ERROR(ToStatus(MakeDenyAllRuleset(ruleset)));
  CB_RETURN_IF_ERROR(ToStatus(AllowExecute(ruleset, program)));
  for (const UniqueFd& loader : loaders) {
    CB_RETURN_IF_ERROR(ToStatus(AllowExecute(ruleset, loader)));
  }
  if (!with_places) return ruleset;
  for (const ProgramPlace& place : program_places) {
    CB_RETURN_IF_ERROR(ToStatus(AllowFiles(ruleset, place.directory_or_file, kReadFiles)));
  }
  return ruleset;
}

absl::StatusOr<WorkerSandbox> WorkerSandbox::Prepare(LayerSet required, LayerSet off,
                                                     DescriptorSight most) {
  if (!off.And(kAlwaysInForce).empty()) {
    return absl::InvalidArgumentError(absl::StrCat("prepare workers: cannot be switched off: ",
                                                   off.And(kAlwaysInForce).ToString()));
  }
  CB_RETURN_IF_ERROR(CheckSingleThreaded());  // INVARIANT(fork-before-threads)
  auto state = std::make_unique<State>();
  state->owner = getpid();
  state->host = ProbeHost();
  state->in_force = LayersWithout(state->host, off);
  state->sight = state->host.SightWith(state->in_force, most);
  CB_RETURN_IF_ERROR(CheckRequired(state->host, state->in_force, required));

  CB_ASSIGN_OR_RETURN(state->self, PidFd::Open(getpid()));
  state->null.Reset(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!state->null.valid()) return ErrnoToStatus(errno, "prepare workers: open /dev/null");
  state->statm.Reset(open("/proc/self/statm", O_RDONLY | O_CLOEXEC));
  if (!state->statm.valid()) return ErrnoToStatus(errno, "prepare workers: open statm");
  if (state->in_force.Has(Layer::kLandlock)) {
    CB_RETURN_IF_ERROR(ToStatus(MakeDenyAllRuleset(state->deny_all)));
  }
  if (state->MayShareSurroundings()) {
    // Without them each worker makes its own.
    if (auto made = SharedSurroundings::Make(); made.ok()) state->surroundings = *std::move(made);
  }
  state->program_places = ProgramPlaces();
  state->loaders = Loaders();
  CB_ASSIGN_OR_RETURN(state->init_table, CompileFilter(InitPolicy(), DieAction::kKillProcess));
  CB_ASSIGN_OR_RETURN(
      state->supervisor_table,
      CompileFilter(SupervisorPolicy({.sight = state->sight}), DieAction::kKillProcess));
  CB_ASSIGN_OR_RETURN(state->connecting_supervisor_table,
                      CompileFilter(SupervisorPolicy({.connects = true}), DieAction::kKillProcess));
  CB_RETURN_IF_ERROR(state->Table(WorkerTable::Kind::kForked, Start{}).status());
  // Not from zero: another broker's workers would be the same user.
  if (getrandom(&state->next_id, sizeof state->next_id, 0) != sizeof state->next_id) {
    return ErrnoToStatus(errno, "prepare workers: random number");
  }
  return WorkerSandbox(std::move(state));
}

WorkerSandbox::WorkerSandbox(std::unique_ptr<State> state) : state_(std::move(state)) {}
WorkerSandbox::WorkerSandbox(WorkerSandbox&&) noexcept = default;
WorkerSandbox& WorkerSandbox::operator=(WorkerSandbox&&) noexcept = default;
WorkerSandbox::~WorkerSandbox() = default;

const HostFacts& WorkerSandbox::host() const { return state_->host; }
LayerSet WorkerSandbox::in_force() const { return state_->in_force; }
DescriptorSight WorkerSandbox::sight() const { return state_->sight; }

absl::StatusOr<Started> WorkerSandbox::Fork(Start start, absl::FunctionRef<int()> entry) {
  return state_->Fork(std::move(start), FdRef(), [&entry](uint64_t) { return entry(); });
}

absl::StatusOr<Started> WorkerSandbox::ForkSpare(Start start, UniqueFd job,
                                                 absl::FunctionRef<int(uint64_t)> entry) {
  if (!start.descriptors.empty() || start.supervision.has_value()) {
    return absl::InvalidArgumentError(
        "start spare: it gets descriptors with its job, and no supervisor");
  }
  return state_->Fork(std::move(start), job, entry);
}

absl::StatusOr<Started> WorkerSandbox::State::Fork(Start start, FdRef job,
                                                   absl::FunctionRef<int(uint64_t)> entry) {
  CB_RETURN_IF_ERROR(CheckMayStart());
  CB_RETURN_IF_ERROR(Check(start.supervision, WorkerTable::Kind::kForked));
  CB_ASSIGN_OR_RETURN(InitPlan plan, Plan(start, WorkerTable::Kind::kForked, deny_all));
  UniqueFd granted;  // to which the init adds the grants
  if (start.supervision.has_value()) {
    CB_RETURN_IF_ERROR(ToStatus(MakeDenyAllRuleset(granted)));
    plan.confinement.ruleset = granted;
  } else if (surroundings.has_value()) {
    plan.confinement.surroundings = &*surroundings;
  }
  plan.worker.entry = &entry;
  plan.worker.job = job;
  CB_ASSIGN_OR_RETURN(Cloned init,
                      CloneConfined(plan.confinement, [&plan](const Confinement& complete) {
                        plan.confinement = complete;
                        RunInit(plan);
                      }));
  return Started{init.pid, std::move(init.process)};
}

absl::StatusOr<Started> WorkerSandbox::Execute(Start start, UniqueFd program,
                                               std::vector<std::string> arguments,
                                               std::vector<std::string> environment) {
  CB_RETURN_IF_ERROR(state_->CheckMayStart());
  if (arguments.empty()) return absl::InvalidArgumentError("start worker: no argv[0]");
  const bool landlock = state_->in_force.Has(Layer::kLandlock);
  if (!landlock && !state_->in_force.Has(Layer::kMountNamespace)) {
    // Its loader opens files: something must say which.
    return absl::FailedPreconditionError(
        "start worker: a program needs landlock or a mount namespace");
  }
  CB_RETURN_IF_ERROR(state_->Check(start.supervision, WorkerTable::Kind::kExecuted));
  UniqueFd ruleset, workers_ruleset;
  if (landlock) {
    CB_ASSIGN_OR_RETURN(ruleset, state_->ProgramRuleset(program, /*with_places=*/true));
  }
  CB_ASSIGN_OR_RETURN(InitPlan plan, state_->Plan(start, WorkerTable::Kind::kExecuted, ruleset));
  const std::vector<char*> argv = Pointers(arguments);
  const std::vector<char*> envp = Pointers(environment);
  if (start.supervision.has_value()) {
    // The supervisor opens, for the program and its loader, too.
    CB_ASSIGN_OR_RETURN(workers_ruleset, state_->ProgramRuleset(program, /*with_places=*/false));
    plan.worker.ruleset = workers_ruleset;
  }
  plan.confinement.places = &state_->program_places;
  plan.worker.program = program;
  plan.worker.arguments = argv.data();
  plan.worker.environment = envp.data();
  CB_ASSIGN_OR_RETURN(Cloned init,
                      CloneConfined(plan.confinement, [&plan](const Confinement& complete) {
                        plan.confinement = complete;
                        RunInit(plan);
                      }));
  return Started{init.pid, std::move(init.process)};
}

}  // namespace capbroker::sandbox
