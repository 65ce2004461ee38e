#include "base/own_cgroup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace capbroker {
namespace {

// Where the cgroup `name` is in the file system; empty: nowhere.
std::string DirectoryOf(absl::string_view name) {
  std::ifstream mounts("/proc/self/mountinfo");
  std::string found;
  for (std::string line; std::getline(mounts, line);) {
    if (!absl::StrContains(line, " - cgroup2 ")) continue;
    // proc_pid_mountinfo(5): id, parent, device, root, mount point, ...
    const std::vector<std::string> fields = absl::StrSplit(line, ' ');
    if (fields.size() < 5) continue;
    absl::string_view beneath = name;
    if (fields[3] != "/" && !absl::ConsumePrefix(&beneath, fields[3])) continue;
    if (!beneath.empty() && beneath[0] != '/') continue;
    found = absl::StrCat(fields[4], beneath == "/" ? "" : beneath);  // the last one is on top
  }
  return found;
}

bool SaysThatItIsDelegated(const Cgroup& cgroup) {
  for (const char* const attribute : {"user.delegate", "trusted.delegate"}) {
    char value[8];
    const ssize_t size = fgetxattr(cgroup.directory().get(), attribute, value, sizeof value);
    if (size == 1 && value[0] == '1') return true;
  }
  return false;
}

absl::Status CheckDelegated(const std::string& name, const std::string& path,
                            const Cgroup& cgroup) {
  const auto refuse = [&path](absl::string_view why) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": not delegated: ", why));
  };
  for (const char* const file : {".", "cgroup.procs", "cgroup.subtree_control"}) {
    if (faccessat(cgroup.directory().get(), file, W_OK, AT_EACCESS) != 0) {
      return refuse(absl::StrCat(file, " cannot be written: ", strerror(errno)));
    }
  }
  if (faccessat(cgroup.directory().get(), "cgroup.type", F_OK, 0) != 0) {
    return refuse("it is the root of all cgroups");
  }
  // The top of what this process may write was given to it; what is below may be another's to
  // manage.
  const bool is_top =
      name == "/" || faccessat(cgroup.directory().get(), "..", W_OK, AT_EACCESS) != 0;
  if (is_top || SaysThatItIsDelegated(cgroup)) return absl::OkStatus();
  return refuse("it may be written, but nobody says that it is this process's (Delegate=yes)");
}

}  // namespace

std::string OwnCgroupName() {
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    absl::string_view name = line;
    if (absl::ConsumePrefix(&name, "0::")) return std::string(name);
  }
  return "";
}

absl::StatusOr<DelegatedCgroup> FindDelegatedCgroup() {
  std::string name = OwnCgroupName();
  if (name.empty()) return absl::FailedPreconditionError("no cgroups of version 2");
  DelegatedCgroup found;
  found.path = DirectoryOf(name);
  if (found.path.empty()) {
    return absl::FailedPreconditionError(absl::StrCat("cgroup ", name, ": mounted nowhere"));
  }
  const std::string last = absl::StrCat("/", kApplicationCgroup);
  found.divided = absl::EndsWith(found.path, last) && absl::EndsWith(name, last);
  if (found.divided) {
    found.path.resize(found.path.size() - last.size());
    name.resize(name.size() - last.size());
    if (name.empty()) name = "/";
  }
  CB_ASSIGN_OR_RETURN(found.cgroup, Cgroup::Open(found.path));
  CB_RETURN_IF_ERROR(CheckDelegated(name, found.path, found.cgroup));
  return found;
}

}  // namespace capbroker
