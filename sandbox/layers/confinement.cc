#include "sandbox/layers/confinement.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sandbox/layers/landlock.h"

namespace capbroker::sandbox {
namespace {

StepResult EnterIds(const Confinement& confinement) {
  if (!confinement.layers.Has(Layer::kUserNamespace)) return Done();
  if (!MapsFromOutside(confinement)) return MapOwnIds(confinement.own_ids);
  char go_ahead;
  ssize_t got;
  do {
    got = read(confinement.maps_written.get(), &go_ahead, 1);
  } while (got < 0 && errno == EINTR);
  // End of file instead of the byte: the zygote failed, or is gone.
  if (got != 1) return FailedWith(Step::kUidMap, ESRCH);
  return TakeIds(*confinement.assigned);
}

// Without a user namespace the namespaces were made with root's rights: only
// now can they go.
StepResult LeaveRoot(const Confinement& confinement) {
  if (StepResult result = LockCapabilities(); !result.ok()) return result;
  if (!confinement.layers.Has(Layer::kUserNamespace)) {
    if (confinement.assigned.has_value()) {
      if (StepResult result = TakeIds(*confinement.assigned); !result.ok()) return result;
    } else if (confinement.layers.Has(Layer::kNoSupplementaryGroups) &&
               !HasNoSupplementaryGroups()) {
      if (StepResult result = DropGroups(); !result.ok()) return result;
    }
  }
  return DropCapabilities();
}

StepResult ResetPersonality() {
  // READ_IMPLIES_EXEC would turn every mapping of the table's into an
  // executable one.
  const int persona = personality(0xffffffff);
  if (persona < 0 || ((persona & READ_IMPLIES_EXEC) != 0 &&
                      personality(static_cast<unsigned>(persona & ~READ_IMPLIES_EXEC)) < 0)) {
    return FailedWithErrno(Step::kPersonality);
  }
  return Done();
}

}  // namespace

uint64_t NamespaceFlags(const Confinement& confinement) {
  constexpr struct {
    Layer layer;
    uint64_t flag;
  } kFlags[] = {
      {Layer::kUserNamespace, CLONE_NEWUSER},     {Layer::kMountNamespace, CLONE_NEWNS},
      {Layer::kPidNamespace, CLONE_NEWPID},       {Layer::kNetworkNamespace, CLONE_NEWNET},
      {Layer::kIpcNamespace, CLONE_NEWIPC},       {Layer::kUtsNamespace, CLONE_NEWUTS},
      {Layer::kCgroupNamespace, CLONE_NEWCGROUP},
  };
  uint64_t flags = 0;
  for (const auto& entry : kFlags) {
    if (confinement.layers.Has(entry.layer)) flags |= entry.flag;
  }
  if (confinement.surroundings != nullptr) flags &= ~uint64_t{CLONE_NEWNET};
  return flags;
}

StepResult DieWithStarter(FdRef starter) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return FailedWithErrno(Step::kParentWatch);
  // INVARIANT(no-orphans): it may have died before the signal was asked for.
  pollfd death = {.fd = starter.get(), .events = POLLIN, .revents = 0};
  const int ready = poll(&death, 1, 0);
  if (ready < 0) return FailedWithErrno(Step::kParentWatch);
  return ready == 0 ? Done() : FailedWith(Step::kParentWatch, ESRCH);
}

StepResult EnterSurroundings(const Confinement& confinement) {
  const LayerSet layers = confinement.layers;
  if (StepResult result = DieWithStarter(confinement.starter); !result.ok()) return result;
  if (StepResult result = EnterIds(confinement); !result.ok()) return result;
  if (confinement.surroundings != nullptr) {
    if (StepResult result = confinement.surroundings->CheckInside(); !result.ok()) return result;
  } else if (layers.Has(Layer::kMountNamespace)) {
    const std::vector<ProgramPlace> nothing;
    StepResult result = EnterRoot(confinement.places == nullptr ? nothing : *confinement.places);
    if (!result.ok()) return result;
  }
  if (layers.Has(Layer::kUtsNamespace)) {
    if (sethostname(kHostName, sizeof kHostName - 1) != 0 || setdomainname("", 0) != 0) {
      return FailedWithErrno(Step::kHostName);
    }
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return FailedWithErrno(Step::kNoNewPrivileges);
  return layers.Has(Layer::kLandlock) ? EnterLandlockDomain(confinement.ruleset) : Done();
}

StepResult LeaveRights(const Confinement& confinement) {
  if (StepResult result = LeaveRoot(confinement); !result.ok()) return result;
  // A change of ids takes the death signal back, and makes the process dumpable
  // or not by a setting of the host.
  if (StepResult result = DieWithStarter(confinement.starter); !result.ok()) return result;
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return FailedWithErrno(Step::kDumpable);
  return ResetPersonality();
}

StepResult LeaveSupervisorsRights(const Confinement& confinement) {
  if (!confinement.assigned.has_value()) {
    if (StepResult result = LeaveRoot(confinement); !result.ok()) return result;
  } else {
    if (StepResult result = LockCapabilities(); !result.ok()) return result;
    const Ids files = confinement.layers.Has(Layer::kUserNamespace) ? kNobody : confinement.own_ids;
    StepResult result = TakeSplitIds(*confinement.assigned, files);
    if (!result.ok()) return result;
    if (result = DropCapabilities(); !result.ok()) return result;
  }
  // INVARIANT(fail-closed): its worker, of the same user, must not look into it.
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return FailedWithErrno(Step::kDumpable);
  return ResetPersonality();
}

StepResult EnterLayers(const Confinement& confinement) {
  if (StepResult result = EnterSurroundings(confinement); !result.ok()) return result;
  return LeaveRights(confinement);
}

}  // namespace capbroker::sandbox
