#include "sandbox/supervisor/granted_names.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "base/file_grant.h"
#include "sandbox/supervisor/capability_errno.h"
#include "sandbox/supervisor/mount_id.h"
#include "sandbox/supervisor/worker_descriptors.h"
#include "sandbox/supervisor/worker_memory.h"

namespace capbroker::sandbox {

// INVARIANT(beneath-means-beneath): all walks of a supervisor start at the root of a grant.
Opened Walk(const Location& location, OpenHow how) {
  how.resolve |= RESOLVE_BENEATH;
  // The file itself, and nothing that its directory has beside it.
  if (location.place->is_file()) how.resolve |= RESOLVE_NO_SYMLINKS;
  Opened opened = OpenPath(location.place->root, location.beneath.c_str(), how);
  if (opened.error_number == EXDEV) opened.error_number = kEnotcapable;
  return opened;
}

const Location* FirstWith(const std::vector<Location>& locations, unsigned access) {
  for (const Location& location : locations) {
    if ((location.place->access & access) == access) return &location;
  }
  return nullptr;
}

// TRUST(worker): the path and the number of the directory's descriptor.
PathRead GrantedNames::Read(const Notification& call, const PathArgument& argument) {
  PathRead read;
  if (argument.may_be_empty && argument.address == 0) {
    read.empty = true;
    return read;
  }
  read.error_number = WorkerMemory(call.thread()).ReadPath(argument.address, read.path);
  // INVARIANT(decided-on-a-copy): read once; and what was read was the caller's only if the
  // caller still waits.
  if (read.error_number == 0 && !call.IsWaiting()) read.error_number = ESRCH;
  if (read.error_number != 0) return read;
  if (read.path.empty()) {
    if (argument.may_be_empty) {
      read.empty = true;
    } else {
      read.error_number = ENOENT;
    }
    return read;
  }
  if (absl::StartsWith(read.path, "/")) return read;
  if (argument.directory == AT_FDCWD) {
    read.base = working_places_.Of(call.thread()).directory;
  } else {
    read.error_number = NameOfDescriptor(call.thread(), argument.directory, read.base);
  }
  return read;
}

int GrantedNames::NameOfDescriptor(pid_t thread, int descriptor, std::string& name) {
  const Opened duplicate = DuplicateFrom(thread, descriptor);
  if (!duplicate.fd.valid()) return duplicate.error_number;
  struct stat held;
  if (fstat(duplicate.fd.get(), &held) != 0) return errno;
  if (!S_ISDIR(held.st_mode)) return ENOTDIR;
  name = directories_.NameOf(held);
  if (name.empty()) return kEnotcapable;
  return LeadsTo(name, held) ? 0 : ESTALE;  // it was renamed
}

bool GrantedNames::LeadsTo(const std::string& name, const struct stat& directory) const {
  const Object object =
      FindAmong(places_.Find(name), name, {.follow = true, .access = 0, .open_flags = O_DIRECTORY});
  struct stat found;
  return object.fd.valid() && fstat(object.fd.get(), &found) == 0 &&
         found.st_dev == directory.st_dev && found.st_ino == directory.st_ino;
}

std::string GrantedNames::Settle(std::string name, const struct stat& directory) const {
  std::string normal = NormalName(name);
  return normal == name || LeadsTo(normal, directory) ? normal : name;
}

int GrantedNames::NotGranted(const std::string& name) const {
  return NormalName(name) == missing_ ? ENOENT : kEnotcapable;
}

std::vector<Location> GrantedNames::Locate(const std::string& name, unsigned access) {
  std::vector<Location> locations = places_.Find(name);
  const Location* const found = FirstWith(locations, access);
  asked_.push_back({name, access, found != nullptr && found->place->implied});
  return locations;
}

Object GrantedNames::Find(const std::string& name, const LookRequest& request) {
  return FindAmong(Locate(name, request.access), name, request);
}

Object GrantedNames::FindAmong(const std::vector<Location>& locations, const std::string& name,
                               const LookRequest& request) const {
  Object object;
  // INVARIANT(name-checked-before-look): what is not granted is not looked at.
  const Location* location = FirstWith(locations, request.access);
  if (location == nullptr) {
    object.above = locations.empty() && places_.IsAbove(name);
    object.error_number = object.above ? 0 : NotGranted(name);
    return object;
  }
  const uint64_t flags = O_PATH | request.open_flags | (request.follow ? 0 : O_NOFOLLOW);
  Opened opened = Walk(*location, {.flags = flags});
  object.fd = std::move(opened.fd);
  object.error_number = opened.error_number;
  return object;
}

Object GrantedNames::Find(const Notification& call, const PathArgument& argument,
                          const LookRequest& request) {
  const PathRead read = Read(call, argument);
  if (read.error_number == 0 && !read.empty) return Find(read.Name(), request);
  Object object;
  object.error_number = read.error_number;
  if (read.error_number != 0) return object;
  if (argument.directory == AT_FDCWD) {
    return Find(working_places_.Of(call.thread()).directory, request);
  }
  // What the worker holds it may look at, wherever it is from.
  Opened duplicate = DuplicateFrom(call.thread(), argument.directory);
  object.fd = std::move(duplicate.fd);
  object.error_number = duplicate.error_number;
  return object;
}

Object GrantedNames::Open(const std::string& name, unsigned access, OpenHow how) {
  Object object;
  const std::vector<Location> locations = Locate(name, access);
  // INVARIANT(name-checked-before-look)
  const Location* const location = FirstWith(locations, access);
  object.error_number = kEnotcapable;
  if (location == nullptr) return object;
  Opened opened = Walk(*location, how);
  object.error_number = opened.error_number;
  struct stat status;
  if (!opened.fd.valid() || fstat(opened.fd.get(), &status) != 0) return object;
  if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) {
    object.fd = std::move(opened.fd);
  } else {
    object.error_number = kEnotcapable;
  }
  return object;
}

Object GrantedNames::FindHeld(pid_t thread, int descriptor, unsigned access) const {
  Object object;
  Opened duplicate = DuplicateFrom(thread, descriptor);
  object.error_number = duplicate.error_number;
  if (!duplicate.fd.valid()) return object;
  const uint64_t mount = MountId(duplicate.fd);
  for (const GrantedPlace& place : places_.places()) {
    // Every grant is a mount of its own, and only what was opened under it is on that.
    if (mount != 0 && place.mount == mount && (place.access & access) == access) {
      object.fd = std::move(duplicate.fd);
      return object;
    }
  }
  object.error_number = EPERM;
  return object;
}

Entry GrantedNames::FindEntry(const std::string& name) {
  Entry entry;
  const std::vector<Location> locations = Locate(name, kCreateFiles);
  // INVARIANT(name-checked-before-look)
  const Location* location = FirstWith(locations, kCreateFiles);
  // The parent of what is granted itself is not granted.
  if (location == nullptr || location->place->is_file()) {
    entry.error_number = kEnotcapable;
    return entry;
  }
  const std::string& beneath = location->beneath;
  const size_t end = beneath.find_last_not_of('/');
  const size_t slash = beneath.rfind('/', end);
  entry.leaf = slash == std::string::npos ? beneath : beneath.substr(slash + 1);
  if (entry.leaf[0] == '.' && (entry.leaf.size() == 1 || entry.leaf[1] == '/')) {
    entry.error_number = kEnotcapable;
    return entry;
  }
  const Location parent = {location->place,
                           slash == std::string::npos ? "." : beneath.substr(0, slash)};
  Opened opened = Walk(parent, {.flags = O_PATH | O_DIRECTORY});
  entry.directory = std::move(opened.fd);
  entry.error_number = opened.error_number;
  return entry;
}

}  // namespace capbroker::sandbox
