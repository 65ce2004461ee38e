#include "sandbox/service_sandbox.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/descriptor_packet.h"
#include "base/errno_status.h"
#include "base/status_macros.h"
#include "sandbox/layers/identity.h"
#include "sandbox/layers/landlock.h"
#include "sandbox/step_result.h"
#include "sandbox/table/filter_compiler.h"
#include "sandbox/table/seccomp.h"

namespace capbroker::sandbox {
namespace {

// What makes root open whatever file it likes.
constexpr uint64_t kFileCapabilities = uint64_t{1} << CAP_DAC_OVERRIDE | uint64_t{1}
                                                                             << CAP_DAC_READ_SEARCH;

constexpr rlim_t kMostThreads = 1024;  // of a user of its own

absl::Status ToStatus(StepResult result) {
  if (result.ok()) return absl::OkStatus();
  return ErrnoToStatus(result.error_number,
                       absl::StrCat("confine service: ", StepName(result.failed)));
}

// Apart as far as they can be: two processes with the same number never live at once.
Ids OwnIds() {
  const uint32_t id = kFirstWorkerId + static_cast<uint32_t>(getpid()) % kWorkerIdCount;
  return {id, id};
}

absl::StatusOr<UniqueFd> MakeRuleset(const ServiceSandbox::Reach& reach) {
  UniqueFd ruleset;
  CB_RETURN_IF_ERROR(ToStatus(MakeDenyAllRuleset(
      ruleset, {.connects = reach.all_tcp_ports, .binds = reach.all_tcp_server_ports})));
  for (const ServiceSandbox::Reach::Place& place : reach.places) {
    // The application named it: symlinks mean what they mean to it.
    const UniqueFd object(open(place.path.c_str(), O_PATH | O_CLOEXEC));
    // What is not there cannot be opened.
    if (!object.valid()) continue;
    CB_RETURN_IF_ERROR(ToStatus(AllowFiles(ruleset, object, place.access)));
    if (place.devices) CB_RETURN_IF_ERROR(ToStatus(AllowDeviceControl(ruleset, object)));
  }
  if (!reach.all_tcp_ports) {
    for (const uint16_t port : reach.tcp_ports) {
      CB_RETURN_IF_ERROR(ToStatus(AllowTcpConnect(ruleset, port)));
    }
  }
  if (!reach.all_tcp_server_ports) {
    for (const uint16_t port : reach.tcp_server_ports) {
      CB_RETURN_IF_ERROR(ToStatus(AllowTcpBind(ruleset, port)));
    }
  }
  return ruleset;
}

}  // namespace

struct ServiceSandbox::State {
  LayerSet layers;
  ServiceIdentity identity;
  Policy policy;
  CompiledFilter filter;  // of the policy; violations go to the listener
  bool bounded = false;   // the zygote's bounding set is empty, and so is each process's

  absl::Status LeaveRights() const;
  absl::Status EnterTable(FdRef hand_over) const;
};

absl::Status ServiceSandbox::State::LeaveRights() const {
  CB_RETURN_IF_ERROR(ToStatus(bounded ? LockCapabilityRules() : LockCapabilities()));
  if (layers.Has(Layer::kUnprivilegedUid)) {
    CB_RETURN_IF_ERROR(ToStatus(TakeIds(OwnIds())));
    const rlimit threads = {kMostThreads, kMostThreads};
    if (setrlimit(RLIMIT_NPROC, &threads) != 0) {
      return ErrnoToStatus(errno, "confine service: bound threads");
    }
  }
  CB_RETURN_IF_ERROR(
      ToStatus(DropCapabilities(identity == ServiceIdentity::kUser ? kFileCapabilities : 0)));
  const rlimit no_core = {0, 0};
  // A change of ids makes the process dumpable or not by a setting of the host.
  if (setrlimit(RLIMIT_CORE, &no_core) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return ErrnoToStatus(errno, "confine service: forbid inspection");
  }
  return absl::OkStatus();
}

// INVARIANT(default-deny): from here on the table holds, whatever happens next.
absl::Status ServiceSandbox::State::EnterTable(FdRef hand_over) const {
  ParameterValues values = {};
  values[static_cast<size_t>(Parameter::kWorkerPid)] = static_cast<uint32_t>(getpid());
  UniqueFd listener;
  StepResult result = InstallFilterWithListener(filter.Bind(values), listener);
  // An outer sandbox has a listener: then the kernel kills, and tells nobody of what.
  if (result.error_number == EBUSY) {
    CB_ASSIGN_OR_RETURN(const CompiledFilter killing,
                        CompileFilter(policy, DieAction::kKillProcess));
    result = InstallFilter(killing.Bind(values));
  }
  CB_RETURN_IF_ERROR(ToStatus(result));
  if (!listener.valid()) return absl::OkStatus();
  if (!SendDescriptorPacket(hand_over, "", 1, {listener})) {
    return ErrnoToStatus(errno, "confine service: hand the listener over");
  }
  // INVARIANT(fail-closed): with the listener the process could answer for the zygote.
  if (close(std::move(listener).Release()) != 0) return absl::InternalError("confine service");
  return absl::OkStatus();
}

absl::StatusOr<ServiceSandbox> ServiceSandbox::Prepare(const ServiceTable& table,
                                                       ServiceIdentity identity) {
  auto state = std::make_unique<State>();
  LayerSet layers = {Layer::kNoNewPrivileges, Layer::kResourceBounds, Layer::kSystemCallTable,
                     Layer::kViolationReports};
  if (LandlockAbi() > 0) layers = layers.With(Layer::kLandlock);
  if (identity == ServiceIdentity::kNobody) {
    layers = layers.With(Layer::kNoCapabilities);
    if (MayAssignIds()) {
      layers = layers.With(Layer::kUnprivilegedUid).With(Layer::kNoSupplementaryGroups);
    }
  } else if (!HasCapability(CAP_DAC_OVERRIDE) && !HasCapability(CAP_DAC_READ_SEARCH)) {
    layers = layers.With(Layer::kNoCapabilities);
  }
  state->layers = layers;
  state->identity = identity;
  state->bounded = IsBoundingSetEmpty();
  state->policy = ServicePolicy(table);
  CB_ASSIGN_OR_RETURN(state->filter, CompileFilter(state->policy, DieAction::kNotifyListener));
  // Finds out, for every process to come, what the kernel can deny.
  UniqueFd ruleset;
  if (layers.Has(Layer::kLandlock)) CB_RETURN_IF_ERROR(ToStatus(MakeDenyAllRuleset(ruleset)));
  return ServiceSandbox(std::move(state));
}

ServiceSandbox::ServiceSandbox(std::unique_ptr<State> state) : state_(std::move(state)) {}
ServiceSandbox::ServiceSandbox(ServiceSandbox&&) noexcept = default;
ServiceSandbox& ServiceSandbox::operator=(ServiceSandbox&&) noexcept = default;
ServiceSandbox::~ServiceSandbox() = default;

LayerSet ServiceSandbox::layers() const { return state_->layers; }

// INVARIANT(service-confined)
absl::Status ServiceSandbox::Enter(const Reach& reach, FdRef hand_over) const {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return ErrnoToStatus(errno, "confine service: no_new_privs");
  }
  UniqueFd ruleset;
  if (state_->layers.Has(Layer::kLandlock)) {
    // With the rights of the application's user, who named the paths.
    CB_ASSIGN_OR_RETURN(ruleset, MakeRuleset(reach));
  }
  CB_RETURN_IF_ERROR(state_->LeaveRights());
  if (ruleset.valid()) CB_RETURN_IF_ERROR(ToStatus(EnterLandlockDomain(ruleset)));
  ruleset.Reset();
  return state_->EnterTable(hand_over);
}

absl::Status EmptyBoundingSetForServices() { return ToStatus(EmptyBoundingSet()); }

UniqueFd ReceiveListener(FdRef hand_over) {
  char byte;
  PacketDescriptors descriptors;
  (void)ReceiveDescriptorPacket(hand_over, &byte, 1, descriptors, MSG_DONTWAIT);
  return std::move(descriptors[0]);
}

}  // namespace capbroker::sandbox
