#include "sandbox/host_facts.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/own_cgroup.h"
#include "base/pid_fd.h"
#include "base/unique_fd.h"
#include "sandbox/layers/clone_confined.h"
#include "sandbox/layers/confinement.h"
#include "sandbox/layers/identity.h"
#include "sandbox/layers/landlock.h"
#include "sandbox/step_result.h"
#include "sandbox/table/seccomp.h"

namespace capbroker::sandbox {
namespace {

constexpr Layer kNamespacesBesidesUser[] = {
    Layer::kMountNamespace, Layer::kPidNamespace, Layer::kNetworkNamespace,
    Layer::kIpcNamespace,   Layer::kUtsNamespace, Layer::kCgroupNamespace,
};

// What a probe's child tells.
struct Findings {
  StepResult layers;    // the first that failed
  StepResult table;     // installing a filter
  StepResult listener;  // installing one with a listener
};

class Prober {
 public:
  Prober() : may_assign_(MayAssignIds()), self_(PidFd::Open(getpid())) {
    if (LandlockAbi() > 0) landlock_ = MakeDenyAllRuleset(ruleset_);
  }

  bool may_assign() const { return may_assign_; }
  StepResult landlock() const { return landlock_; }

  // What a child with these layers finds; a status if it cannot even be made.
  absl::StatusOr<Findings> Try(LayerSet layers) const;

 private:
  const bool may_assign_;
  const absl::StatusOr<PidFd> self_;
  UniqueFd ruleset_;
  StepResult landlock_ = FailedWith(Step::kLandlock, ENOSYS);
};

[[noreturn]] void RunProbe(const Confinement& confinement, FdRef answer) {
  Findings findings;
  findings.layers = EnterLayers(confinement);
  if (findings.layers.ok()) {
    constexpr sock_filter kAllowAll[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    findings.table = InstallFilter(kAllowAll);
    UniqueFd listener;
    findings.listener = InstallFilterWithListener(kAllowAll, listener);
  }
  (void)!write(answer.get(), &findings, sizeof findings);
  _exit(0);
}

absl::StatusOr<Findings> Prober::Try(LayerSet layers) const {
  if (!self_.ok()) return self_.status();
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::InternalError("probe: no pipe");
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  Confinement confinement;
  confinement.layers = layers;
  confinement.own_ids = {geteuid(), getegid()};
  if (layers.Has(Layer::kUnprivilegedUid)) confinement.assigned = {kFirstWorkerId, kFirstWorkerId};
  confinement.starter = self_->fd();
  confinement.ruleset = ruleset_;
  absl::StatusOr<Cloned> probe = CloneConfined(
      confinement, [&](const Confinement& complete) { RunProbe(complete, write_end); });
  if (!probe.ok()) return probe.status();
  write_end.Reset();
  Findings findings;
  const ssize_t got = read(read_end.get(), &findings, sizeof findings);
  const absl::StatusOr<ProcessEnd> end = probe->process.Wait();
  if (!end.ok()) return end.status();
  if (got != static_cast<ssize_t>(sizeof findings)) {
    return absl::InternalError("the probing process was killed");
  }
  return findings;
}

std::string FirstLine(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// Settings that are known to forbid namespaces.
std::string KnownForbidders() {
  constexpr struct {
    const char* path;
    const char* forbidding;
    const char* name;
  } kSettings[] = {
      {"/proc/sys/user/max_user_namespaces", "0", "user.max_user_namespaces=0"},
      {"/proc/sys/kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=0"},
      {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1",
       "kernel.apparmor_restrict_unprivileged_userns=1"},
  };
  std::string found;
  for (const auto& setting : kSettings) {
    if (FirstLine(setting.path) == setting.forbidding) absl::StrAppend(&found, "; ", setting.name);
  }
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (absl::StartsWith(line, "Seccomp:") && absl::EndsWith(line, "2")) {
      absl::StrAppend(&found, "; a seccomp filter is in force, perhaps a container's");
    }
  }
  return found;
}

std::vector<std::string> SeccompActions() {
  return absl::StrSplit(FirstLine("/proc/sys/kernel/seccomp/actions_avail"), ' ',
                        absl::SkipEmpty());
}

void FindCgroup(HostFacts& facts) {
  facts.cgroup = OwnCgroupName();
  const absl::StatusOr<DelegatedCgroup> delegated = FindDelegatedCgroup();
  if (!delegated.ok()) {
    facts.not_delegated = std::string(delegated.status().message());
  } else if (auto controllers = delegated->cgroup.AvailableControllers(); controllers.ok()) {
    facts.delegated_controllers = *std::move(controllers);
  }
}

std::string Explain(StepResult result) {
  return absl::StrCat(StepName(result.failed), ": ", strerror(result.error_number));
}

// Nothing if `layers` can be had together.
std::optional<std::string> WhyNot(const Prober& prober, LayerSet layers) {
  const absl::StatusOr<Findings> findings = prober.Try(layers);
  if (!findings.ok()) return std::string(findings.status().message());
  if (!findings->layers.ok()) return Explain(findings->layers);
  return std::nullopt;
}

class FactFinder {
 public:
  HostFacts Find();

 private:
  void Offer(Layer layer) { facts_.offered = facts_.offered.With(layer); }
  void Forbid(Layer layer, std::string why) { facts_.forbidden[layer] = std::move(why); }
  void OfferOrForbid(Layer layer, std::optional<std::string> why_not) {
    if (why_not.has_value()) {
      Forbid(layer, *std::move(why_not));
    } else {
      Offer(layer);
    }
  }

  void ForbidUnprivilegedUid() {
    Forbid(Layer::kUnprivilegedUid,
           "the process is not root over the uids from 0x70000000: workers "
           "keep the user's own");
  }
  // True if everything can be had together: the usual host takes a single
  // probe.
  bool FindEverything();
  void FindLandlock();
  void FindIdentity();
  void FindNamespaces();
  void FindTable();
  void FindGroups();

  Prober prober_;
  HostFacts facts_;
};

bool FactFinder::FindEverything() {
  if (!prober_.landlock().ok()) return false;
  LayerSet all = facts_.offered.With(Layer::kLandlock).With(Layer::kUserNamespace);
  for (Layer layer : kNamespacesBesidesUser) all = all.With(layer);
  if (prober_.may_assign()) all = all.With(Layer::kUnprivilegedUid);
  const absl::StatusOr<Findings> findings = prober_.Try(all);
  if (!findings.ok() || !findings->layers.ok() || !findings->table.ok() ||
      !findings->listener.ok()) {
    return false;
  }
  facts_.offered = all.With(Layer::kSystemCallTable).With(Layer::kViolationReports);
  return true;
}

void FactFinder::FindLandlock() {
  if (!prober_.landlock().ok()) {
    Forbid(Layer::kLandlock, "the kernel has no Landlock, or it is not in its list of LSMs");
    return;
  }
  OfferOrForbid(Layer::kLandlock, WhyNot(prober_, facts_.offered.With(Layer::kLandlock)));
}

void FactFinder::FindIdentity() {
  if (!prober_.may_assign()) {
    ForbidUnprivilegedUid();
    return;
  }
  OfferOrForbid(Layer::kUnprivilegedUid,
                WhyNot(prober_, facts_.offered.With(Layer::kUnprivilegedUid)));
}

void FactFinder::FindNamespaces() {
  const std::string forbidders = KnownForbidders();
  const auto find = [&](Layer layer) {
    std::optional<std::string> why_not = WhyNot(prober_, facts_.offered.With(layer));
    if (why_not.has_value()) absl::StrAppend(&*why_not, forbidders);
    OfferOrForbid(layer, std::move(why_not));
  };
  find(Layer::kUserNamespace);
  for (Layer layer : kNamespacesBesidesUser) find(layer);
}

void FactFinder::FindTable() {
  const absl::StatusOr<Findings> findings = prober_.Try(facts_.offered);
  if (!findings.ok()) {
    Forbid(Layer::kSystemCallTable, std::string(findings.status().message()));
  } else {
    OfferOrForbid(Layer::kSystemCallTable, findings->table.ok()
                                               ? std::nullopt
                                               : std::make_optional(Explain(findings->table)));
    OfferOrForbid(Layer::kViolationReports, findings->listener.ok()
                                                ? std::nullopt
                                                : std::make_optional(Explain(findings->listener)));
  }
}

void FactFinder::FindGroups() {
  const bool may_drop = facts_.offered.Has(Layer::kUnprivilegedUid) ||
                        (!facts_.offered.Has(Layer::kUserNamespace) && HasCapability(CAP_SETGID));
  if (may_drop || HasNoSupplementaryGroups()) {
    Offer(Layer::kNoSupplementaryGroups);
  } else {
    Forbid(Layer::kNoSupplementaryGroups,
           "the kernel lets only root drop groups: workers keep the user's");
  }
}

HostFacts FactFinder::Find() {
  utsname name;
  if (uname(&name) == 0) facts_.kernel_release = name.release;
  facts_.offered = kAlwaysInForce;
  facts_.landlock_abi = LandlockAbi();
  facts_.may_assign_uids = prober_.may_assign();
  facts_.descriptor_sight = ProbeDescriptorSight();
  if (!FindEverything()) {
    FindLandlock();
    FindIdentity();
    FindNamespaces();
    FindTable();
  } else if (!prober_.may_assign()) {
    ForbidUnprivilegedUid();
  }
  FindGroups();
  facts_.seccomp_actions = SeccompActions();
  FindCgroup(facts_);
  return std::move(facts_);
}

}  // namespace

HostFacts ProbeHost() { return FactFinder().Find(); }

absl::Status HostFacts::CheckFloor() const {
  if (MeetsFloor(offered)) return absl::OkStatus();
  std::string missing;
  for (const Layer layer : {Layer::kSystemCallTable, Layer::kLandlock, Layer::kMountNamespace,
                            Layer::kPidNamespace, Layer::kNetworkNamespace, Layer::kIpcNamespace}) {
    const auto why = forbidden.find(layer);
    if (why == forbidden.end()) continue;
    absl::StrAppend(&missing, missing.empty() ? "" : "; ", LayerName(layer), ": ", why->second);
  }
  return absl::FailedPreconditionError(
      absl::StrCat("workers need the system call table, and Landlock or namespaces: ", missing));
}

DescriptorSight HostFacts::SightWith(LayerSet layers, DescriptorSight most) const {
  const DescriptorSight sight = std::min(descriptor_sight, most);
  // A root of its own has no /proc, and that of outside has other numbers.
  const bool own = layers.Has(Layer::kMountNamespace) || layers.Has(Layer::kPidNamespace);
  return own && sight == DescriptorSight::kHandles ? DescriptorSight::kNone : sight;
}

std::string HostFacts::ToString() const {
  std::string text = absl::StrCat("Linux ", kernel_release, "\n");
  for (int i = 0; i < kLayerCount; ++i) {
    const Layer layer = static_cast<Layer>(i);
    absl::StrAppend(&text, offered.Has(layer) ? "yes  " : "no   ", LayerName(layer));
    if (layer == Layer::kLandlock && offered.Has(layer)) {
      absl::StrAppend(&text, " (ABI ", landlock_abi, ")");
    }
    const auto why = forbidden.find(layer);
    if (why != forbidden.end()) absl::StrAppend(&text, ": ", why->second);
    text += '\n';
  }
  return text;
}

}  // namespace capbroker::sandbox
