#include "sandbox/layers/root_view.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <utility>

namespace capbroker::sandbox {
namespace {

constexpr const char* kProgramPaths[] = {
    "/lib",       "/lib32",     "/lib64",         "/usr/lib",
    "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache",
};

// Of glibc and of musl.
constexpr const char* kLoaderPaths[] = {
    "/lib64/ld-linux-x86-64.so.2",
    "/lib/ld-linux-aarch64.so.1",
    "/lib/ld-musl-x86_64.so.1",
    "/lib/ld-musl-aarch64.so.1",
};

constexpr unsigned kRecursive = 0x8000;  // AT_RECURSIVE
constexpr uint64_t kReadOnly = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

// Names of linux/mount.h and sys/mount.h clash between versions of the C
// library, so the calls are made directly.
UniqueFd NewTmpfs(uint64_t attributes) {
  const UniqueFd context(static_cast<int>(syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC)));
  if (!context.valid()) return UniqueFd();
  if (syscall(SYS_fsconfig, context.get(), FSCONFIG_SET_STRING, "size", "64k", 0) != 0 ||
      syscall(SYS_fsconfig, context.get(), FSCONFIG_SET_STRING, "mode", "0755", 0) != 0 ||
      syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return UniqueFd();
  }
  return UniqueFd(
      static_cast<int>(syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, attributes)));
}

bool SetAttributes(FdRef mount, uint64_t attributes, unsigned flags) {
  mount_attr change = {};
  change.attr_set = attributes;
  return syscall(SYS_mount_setattr, mount.get(), "", AT_EMPTY_PATH | flags, &change,
                 sizeof change) == 0;
}

bool MoveMount(FdRef mount, int to_directory, const char* to_path) {
  return syscall(SYS_move_mount, mount.get(), "", to_directory, to_path, MOVE_MOUNT_F_EMPTY_PATH) ==
         0;
}

// The directories above `relative`.
bool MakeParents(FdRef root, const std::string& relative) {
  for (size_t slash = relative.find('/'); slash != std::string::npos;
       slash = relative.find('/', slash + 1)) {
    if (mkdirat(root.get(), relative.substr(0, slash).c_str(), 0755) != 0 && errno != EEXIST) {
      return false;
    }
  }
  return true;
}

// A detached copy of the host's mount, which can be changed without touching
// the host's.
UniqueFd ReadOnlyCopy(const std::string& path) {
  UniqueFd tree(static_cast<int>(syscall(SYS_open_tree, AT_FDCWD, path.c_str(),
                                         OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | kRecursive)));
  if (tree.valid() && !SetAttributes(tree, kReadOnly, kRecursive)) return UniqueFd();
  return tree;
}

bool ShowPlace(FdRef root, const ProgramPlace& place) {
  const std::string relative = place.path.substr(1);
  if (!MakeParents(root, relative)) return false;
  if (!place.link_target.empty()) {
    return symlinkat(place.link_target.c_str(), root.get(), relative.c_str()) == 0;
  }
  const UniqueFd tree = ReadOnlyCopy(place.path);
  if (!tree.valid()) return false;
  struct stat status;
  if (fstat(tree.get(), &status) != 0) return false;
  if (S_ISDIR(status.st_mode)) {
    if (mkdirat(root.get(), relative.c_str(), 0755) != 0) return false;
  } else {
    const UniqueFd file(openat(root.get(), relative.c_str(),
                               O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0444));
    if (!file.valid()) return false;
  }
  return MoveMount(tree, root.get(), relative.c_str());
}

}  // namespace

std::vector<ProgramPlace> ProgramPlaces() {
  std::vector<ProgramPlace> places;
  for (const char* path : kProgramPaths) {
    ProgramPlace place = {.path = path, .link_target = "", .directory_or_file = UniqueFd()};
    place.directory_or_file.Reset(open(path, O_PATH | O_CLOEXEC));
    if (!place.directory_or_file.valid()) continue;
    char target[256];
    const ssize_t size = readlink(path, target, sizeof target);
    if (size > 0 && static_cast<size_t>(size) < sizeof target) {
      place.link_target.assign(target, static_cast<size_t>(size));
    }
    places.push_back(std::move(place));
  }
  return places;
}

std::vector<UniqueFd> Loaders() {
  std::vector<UniqueFd> loaders;
  for (const char* path : kLoaderPaths) {
    UniqueFd loader(open(path, O_PATH | O_CLOEXEC));
    if (loader.valid()) loaders.push_back(std::move(loader));
  }
  return loaders;
}

StepResult EnterRoot(const std::vector<ProgramPlace>& places) {
  // What the host mounts later must not appear here, nor anything from here
  // there.
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return FailedWithErrno(Step::kRootMount);
  }
  constexpr uint64_t kBare = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  const UniqueFd root =
      NewTmpfs(places.empty() ? uint64_t{kBare | MOUNT_ATTR_RDONLY} : uint64_t{kBare});
  if (!root.valid() || !MoveMount(root, AT_FDCWD, "/")) return FailedWithErrno(Step::kRootMount);
  if (!places.empty()) {
    for (const ProgramPlace& place : places) {
      // "/" still is the old root: the new one hides it only for whoever walks
      // in from above.
      if (!ShowPlace(root, place)) return FailedWithErrno(Step::kProgramView);
    }
    if (!SetAttributes(root, MOUNT_ATTR_RDONLY, 0)) return FailedWithErrno(Step::kProgramView);
  }
  // Old root and new root both at ".": the old one ends up on top, and is
  // detached.
  if (fchdir(root.get()) != 0 || syscall(SYS_pivot_root, ".", ".") != 0 ||
      umount2(".", MNT_DETACH) != 0 || chdir("/") != 0) {
    return FailedWithErrno(Step::kRootMount);
  }
  return Done();
}

}  // namespace capbroker::sandbox
