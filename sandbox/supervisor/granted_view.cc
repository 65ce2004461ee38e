#include "sandbox/supervisor/granted_view.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>

#include "base/open_how.h"
#include "sandbox/layers/landlock.h"
#include "sandbox/supervisor/mount_id.h"

namespace capbroker::sandbox {
namespace {

constexpr unsigned kRecursive = 0x8000;  // AT_RECURSIVE

UniqueFd CopyOfMount(const char* path, unsigned flags) {
  return UniqueFd(static_cast<int>(
      syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags)));
}

// A mount of the directory `path` with nothing around it.
UniqueFd OwnMount(const char* path, uint64_t attributes) {
  UniqueFd mount = CopyOfMount(path, kRecursive);
  if (!mount.valid()) return mount;
  mount_attr change = {};
  change.attr_set = attributes;
  // What the host mounts later must not appear here, without the attributes.
  change.propagation = MS_PRIVATE;
  if (syscall(SYS_mount_setattr, mount.get(), "", AT_EMPTY_PATH | kRecursive, &change,
              sizeof change) != 0) {
    return UniqueFd();
  }
  return mount;
}

UniqueFd OpenDirectory(const std::string& path, bool own_mount, uint64_t attributes) {
  return own_mount ? OwnMount(path.c_str(), attributes)
                   : UniqueFd(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

StepResult Allow(const GrantRulesets& rulesets, FdRef file, unsigned access) {
  if (!rulesets.supervisor.valid()) return Done();
  StepResult result = AllowFiles(rulesets.supervisor, file, access);
  if (!result.ok() || (access & kRunFiles) == 0) return result;
  if (result = AllowExecute(rulesets.supervisor, file); !result.ok()) return result;
  return AllowExecute(rulesets.worker, file);
}

StepResult Walk(const FileGrant& grant, bool own_mounts, const GrantRulesets& rulesets,
                GrantedPlace& place) {
  uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  if ((grant.access & (kWriteFiles | kCreateFiles)) == 0) attributes |= MOUNT_ATTR_RDONLY;
  // Programs bring libraries of their own.
  if ((grant.access & kRunFiles) != 0) attributes &= ~uint64_t{MOUNT_ATTR_NOEXEC};
  char real[PATH_MAX];
  if (realpath(grant.path.c_str(), real) == nullptr) return FailedWithErrno(Step::kGrants);
  struct stat status;
  if (lstat(real, &status) != 0) return FailedWithErrno(Step::kGrants);
  place.path = grant.path;
  place.access = grant.access;
  if (grant.extent == FileGrant::Extent::kTree) {
    if (!S_ISDIR(status.st_mode)) return FailedWith(Step::kGrants, ENOTDIR);
    place.root = OpenDirectory(real, own_mounts, attributes);
    if (!place.root.valid()) return FailedWithErrno(Step::kGrants);
    if (own_mounts) place.mount = MountId(place.root);
    return Allow(rulesets, place.root, grant.access);
  }
  if (S_ISDIR(status.st_mode)) return FailedWith(Step::kGrants, EISDIR);
  if (S_ISCHR(status.st_mode)) attributes &= ~uint64_t{MOUNT_ATTR_NODEV};
  std::string parent = real;
  place.leaf = parent.substr(parent.rfind('/') + 1);
  parent.resize(parent.rfind('/') + 1);
  place.root = OpenDirectory(parent, own_mounts, attributes);
  if (!place.root.valid()) return FailedWithErrno(Step::kGrants);
  const Opened file = OpenPath(place.root, place.leaf.c_str(),
                               {.flags = O_PATH | O_NOFOLLOW, .resolve = RESOLVE_NO_SYMLINKS});
  if (!file.fd.valid()) return FailedWith(Step::kGrants, file.error_number);
  // The one that is opened now is the one that Landlock allows from here on.
  return Allow(rulesets, file.fd, grant.access);
}

}  // namespace

StepResult OpenGrants(const std::vector<FileGrant>& grants, bool own_mounts,
                      const GrantRulesets& rulesets, std::vector<GrantedPlace>& places) {
  for (const FileGrant& grant : grants) {
    GrantedPlace place;
    if (StepResult result = Walk(grant, own_mounts, rulesets, place); !result.ok()) return result;
    places.push_back(std::move(place));
  }
  return Done();
}

std::vector<ProgramPlace> ProgramView(const std::vector<ProgramPlace>& program_places,
                                      const std::vector<FileGrant>& grants) {
  std::vector<ProgramPlace> view;
  const auto shown = [&view](const std::string& path) {
    for (const ProgramPlace& place : view) {
      if (place.link_target.empty() && (path + "/").rfind(place.path + "/", 0) == 0) return true;
    }
    return false;
  };
  // Larger ones first: they show what is beneath them, too.
  std::vector<std::string> runs;
  for (const FileGrant& grant : grants) {
    if ((grant.access & kRunFiles) != 0) runs.push_back(grant.path);
  }
  std::sort(runs.begin(), runs.end());
  for (const std::string& path : runs) {
    const bool library = std::any_of(
        program_places.begin(), program_places.end(), [&path](const ProgramPlace& place) {
          return place.link_target.empty() && (path + "/").rfind(place.path + "/", 0) == 0;
        });
    if (!library && !shown(path))
      view.push_back({.path = path, .link_target = "", .directory_or_file = UniqueFd()});
  }
  for (const ProgramPlace& place : program_places) {
    if (!shown(place.path)) {
      view.push_back(
          {.path = place.path, .link_target = place.link_target, .directory_or_file = UniqueFd()});
    }
  }
  return view;
}

StepResult OpenProgramPlaces(const std::vector<ProgramPlace>& program_places,
                             std::vector<GrantedPlace>& places) {
  for (const ProgramPlace& program : program_places) {
    struct stat status;
    if (stat(program.path.c_str(), &status) != 0) return FailedWithErrno(Step::kGrants);
    const FileGrant grant = S_ISDIR(status.st_mode) ? FileGrant::ReadTree(program.path)
                                                    : FileGrant::ReadFile(program.path);
    GrantedPlace place;
    StepResult result = Walk(grant, /*own_mounts=*/false, {}, place);
    if (!result.ok()) return result;
    place.implied = true;
    places.push_back(std::move(place));
  }
  return Done();
}

}  // namespace capbroker::sandbox
