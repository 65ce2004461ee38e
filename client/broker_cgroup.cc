#include "client/broker_cgroup.h"

#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "base/errno_status.h"
#include "base/own_cgroup.h"
#include "base/pid_fd.h"
#include "base/status_macros.h"

namespace capbroker {
namespace {

constexpr absl::string_view kPrefix = "capbroker.";
constexpr size_t kNumberLength = 16;  // hexadecimal
constexpr const char* kControllers[] = {"memory", "pids"};
// What was killed is gone in milliseconds, but for who waits for a file system that does not
// answer.
constexpr absl::Duration kDeath = absl::Seconds(2);

bool IsBrokers(absl::string_view name) {
  return absl::ConsumePrefix(&name, kPrefix) && name.size() == kNumberLength &&
         name.find_first_not_of("0123456789abcdef") == absl::string_view::npos;
}

bool Lock(const Cgroup& cgroup) { return flock(cgroup.directory().get(), LOCK_EX | LOCK_NB) == 0; }

// Of brokers that are dead with all that could lock theirs.
void RemoveStale(const Cgroup& parent) {
  const absl::StatusOr<std::vector<std::string>> children = parent.Children();
  if (!children.ok()) return;
  for (const std::string& name : *children) {
    if (!IsBrokers(name)) continue;
    const absl::StatusOr<Cgroup> child = parent.OpenChild(name);
    if (child.ok() && Lock(*child)) (void)parent.RemoveChild(name, kDeath);
  }
}

// Locked before another broker took it for a stale one.
bool IsStill(const Cgroup& parent, const std::string& name, const Cgroup& child) {
  struct stat named, held;
  return fstatat(parent.directory().get(), name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
         fstat(child.directory().get(), &held) == 0 && named.st_ino == held.st_ino;
}

absl::StatusOr<std::string> MakeLocked(const Cgroup& parent, Cgroup& made) {
  for (int tries = 0; tries < 8; ++tries) {
    uint64_t number;
    if (getrandom(&number, sizeof number, 0) != sizeof number) {
      return ErrnoToStatus(errno, "random number");
    }
    std::string name = absl::StrCat(kPrefix, absl::Hex(number, absl::kZeroPad16));
    CB_ASSIGN_OR_RETURN(made, parent.MakeChild(name));
    if (Lock(made) && IsStill(parent, name, made)) return name;
  }
  return absl::UnavailableError("make a cgroup: others remove it");
}

absl::StatusOr<std::vector<std::string>> UsableControllers(const Cgroup& parent, bool partly) {
  CB_ASSIGN_OR_RETURN(const std::vector<std::string> available, parent.AvailableControllers());
  std::vector<std::string> usable;
  for (const char* const controller : kControllers) {
    if (std::find(available.begin(), available.end(), controller) != available.end()) {
      usable.emplace_back(controller);
    } else if (!partly) {
      return absl::FailedPreconditionError(
          absl::StrCat("the cgroup has no ", controller,
                       " controller, but only: ", absl::StrJoin(available, " ")));
    }
  }
  return usable;
}

// This process into a child of its cgroup, so that it can have controllers. Nobody else is moved.
absl::Status Divide(const DelegatedCgroup& own, const std::vector<std::string>& controllers) {
  if (own.divided) return absl::OkStatus();
  CB_ASSIGN_OR_RETURN(const std::string inside, own.cgroup.Read("cgroup.procs"));
  if (inside != absl::StrCat(getpid(), "\n")) {
    return absl::FailedPreconditionError(
        absl::StrCat(own.path, ": other processes are in this process's own cgroup"));
  }
  absl::StatusOr<Cgroup> left = own.cgroup.MakeChild(kApplicationCgroup);
  if (absl::IsAlreadyExists(left.status())) left = own.cgroup.OpenChild(kApplicationCgroup);
  CB_RETURN_IF_ERROR(left.status());
  CB_RETURN_IF_ERROR(left->Write("cgroup.procs", "0"));
  const absl::Status enabled = own.cgroup.EnableControllers(controllers);
  if (enabled.ok()) return absl::OkStatus();
  // Somebody came meanwhile: everything as it was.
  CB_RETURN_IF_ERROR(own.cgroup.Write("cgroup.procs", "0"));
  (void)own.cgroup.RemoveChild(kApplicationCgroup, absl::ZeroDuration());
  return enabled;
}

// The rights that a start of a worker will need: those of the cgroups' common ancestor as well.
absl::Status TryToEnter(const Cgroup& cgroup) {
  const absl::StatusOr<Cloned> child = CloneProcess({.cgroup = cgroup.directory()});
  if (!child.ok()) {
    return absl::Status(child.status().code(),
                        absl::StrCat("no process can be started there from this one's cgroup: ",
                                     child.status().message()));
  }
  if (child->pid == 0) _exit(0);
  return child->process.Wait().status();
}

// Where it is to be made, and the controllers that it is to have for its children.
absl::StatusOr<Cgroup> PreparePlace(const WorkerCgroups& options,
                                    std::vector<std::string>& controllers) {
  DelegatedCgroup place;
  const bool own = options.beneath == kOwnCgroup;
  if (own) {
    CB_ASSIGN_OR_RETURN(place, FindDelegatedCgroup());
  } else if (absl::StartsWith(options.beneath, "/")) {
    CB_ASSIGN_OR_RETURN(place.cgroup, Cgroup::Open(options.beneath));
  } else {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", options.beneath, "\": neither an absolute path nor \"", kOwnCgroup, "\""));
  }
  CB_ASSIGN_OR_RETURN(controllers, UsableControllers(place.cgroup, options.partly));
  if (own) CB_RETURN_IF_ERROR(Divide(place, controllers));
  return std::move(place.cgroup);
}

}  // namespace

absl::StatusOr<BrokerCgroup> BrokerCgroup::MakeIn(const WorkerCgroups& options) {
  BrokerCgroup made;
  std::vector<std::string> controllers;
  CB_ASSIGN_OR_RETURN(made.parent_, PreparePlace(options, controllers));
  RemoveStale(made.parent_);
  CB_ASSIGN_OR_RETURN(made.name_, MakeLocked(made.parent_, made.own_));
  CB_ASSIGN_OR_RETURN(const Cgroup tried, made.own_.MakeChild("try"));
  CB_RETURN_IF_ERROR(TryToEnter(tried));
  CB_RETURN_IF_ERROR(made.own_.RemoveChild("try", kDeath));
  // Last: what fails before has changed nothing of what was there.
  CB_RETURN_IF_ERROR(made.parent_.EnableControllers(controllers));
  CB_RETURN_IF_ERROR(made.own_.EnableControllers(controllers));
  return made;
}

absl::StatusOr<BrokerCgroup> BrokerCgroup::Make(const WorkerCgroups& options) {
  absl::StatusOr<BrokerCgroup> made = MakeIn(options);
  if (made.ok()) return made;
  return absl::Status(made.status().code(),
                      absl::StrCat("start broker: workers' cgroups: ", made.status().message()));
}

void BrokerCgroup::Remove() {
  if (!own_.valid()) return;
  (void)parent_.RemoveChild(name_, kDeath);
  own_ = Cgroup();
}

}  // namespace capbroker
