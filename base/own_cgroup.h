// The cgroup (version 2) that this process is in, and whether it is this process's to divide.
//
// Runs in: applications, and programs that explain a host.
#ifndef BASE_OWN_CGROUP_H_
#define BASE_OWN_CGROUP_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/cgroup.h"

namespace capbroker {

// As /proc/self/cgroup has it: "/user.slice/...". Empty: there is none.
std::string OwnCgroupName();

struct DelegatedCgroup {
  std::string path;  // of its directory
  Cgroup cgroup;
  // The process is not in it but in its child of the name kApplicationCgroup.
  bool divided = false;
};

// The name of the cgroup that an application leaves its own for, which is divided then.
inline constexpr char kApplicationCgroup[] = "capbroker.application";

// The own cgroup, if it is delegated to this process (cgroups(7)): it may write directory and
// files, but not those of the parent, or it sees none, in a container. What it may write by
// accident, as root or as a user below the user's own systemd, is delegated if that says so
// (Delegate=yes, an extended attribute). FAILED_PRECONDITION: it is not, and why.
absl::StatusOr<DelegatedCgroup> FindDelegatedCgroup();

}  // namespace capbroker

#endif  // BASE_OWN_CGROUP_H_
