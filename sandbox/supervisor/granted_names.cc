#include "sandbox/supervisor/granted_names.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "base/file_grant.h"
#include "sandbox/supervisor/capability_errno.h"
#include "sandbox/supervisor/mount_id.h"
#include "sandbox/supervisor/worker_memory.h"

namespace capbroker::sandbox {
namespace {

bool IsSame(FdRef file, const struct stat& status) {
  struct stat found;
  return fstat(file.get(), &found) == 0 && found.st_dev == status.st_dev &&
         found.st_ino == status.st_ino;
}

}  // namespace

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
  const Opened seen = descriptors_.Look(thread, descriptor);
  if (!seen.fd.valid()) return seen.error_number;
  struct stat held;
  if (fstat(seen.fd.get(), &held) != 0) return errno;
  if (!S_ISDIR(held.st_mode)) return ENOTDIR;
  name = directories_.NameOf(held);
  if (name.empty()) return kEnotcapable;
  return LeadsTo(name, held) ? 0 : ESTALE;  // it was renamed
}

bool GrantedNames::LeadsTo(const std::string& name, const struct stat& directory) const {
  const Object object =
      FindAmong(places_.Find(name), name, {.follow = true, .access = 0, .open_flags = O_DIRECTORY});
  return object.fd.valid() && IsSame(object.fd, directory);
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
  Opened seen = descriptors_.Look(call.thread(), argument.directory);
  object.fd = std::move(seen.fd);
  object.error_number = seen.error_number;
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

// Where every grant is a mount of its own, only what was opened under it is on that.
bool GrantedNames::IsOnOwnMount(FdRef file, unsigned access) const {
  const uint64_t mount = MountId(file);
  const std::vector<GrantedPlace>& places = places_.places();
  return mount != 0 && std::any_of(places.begin(), places.end(), [&](const GrantedPlace& place) {
           return place.mount == mount && (place.access & access) == access;
         });
}

// INVARIANT(beneath-means-beneath): `held` only says what is to be found.
Object GrantedNames::OpenGiven(const struct stat& held, unsigned access, uint64_t flags) {
  Object object;
  object.error_number = EPERM;
  if (!S_ISREG(held.st_mode) && !S_ISDIR(held.st_mode)) return object;
  const std::string name = (S_ISDIR(held.st_mode) ? directories_ : files_).NameOf(held);
  const std::vector<Location> locations = places_.Find(name);
  const Location* const location = FirstWith(locations, access);
  if (name.empty() || location == nullptr) return object;
  Opened opened = Walk(*location, {.flags = flags | O_NONBLOCK});
  object.error_number = opened.error_number;
  if (opened.fd.valid() && IsSame(opened.fd, held)) {
    object.fd = std::move(opened.fd);
  } else if (opened.fd.valid() || opened.error_number == ENOENT) {
    object.error_number = ESTALE;  // it was renamed
  }
  return object;
}

Object GrantedNames::OpenHeld(pid_t thread, int descriptor, unsigned access) {
  Object object;
  Opened seen = descriptors_.Look(thread, descriptor);
  object.error_number = seen.error_number;
  if (!seen.fd.valid()) return object;
  if (descriptors_.sees_rights() && IsOnOwnMount(seen.fd, access)) {
    object.fd = std::move(seen.fd);
    return object;
  }
  struct stat held = {};
  (void)!fstat(seen.fd.get(), &held);
  return OpenGiven(held, access, O_RDONLY);
}

// TRUST(worker): what it has open to append to, or to read, is another right.
Object GrantedNames::OpenWritable(pid_t thread, int descriptor) {
  Object object;
  Opened seen = descriptors_.Look(thread, descriptor);
  object.error_number = seen.error_number;
  if (!seen.fd.valid()) return object;
  if (descriptors_.sees_rights()) {
    const int flags = fcntl(seen.fd.get(), F_GETFL);
    const bool writes = flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && (flags & O_APPEND) == 0;
    object.error_number = writes ? 0 : EPERM;
    if (writes) object.fd = std::move(seen.fd);
    return object;
  }
  struct stat held = {};
  (void)!fstat(seen.fd.get(), &held);
  return OpenGiven(held, kWriteFiles, O_WRONLY);
}

void GrantedNames::Remember(const struct stat& object, std::string name,
                            const GrantedPlace& place) {
  if (S_ISDIR(object.st_mode)) {
    directories_.Remember(object, Settle(std::move(name), object));
  } else if (S_ISREG(object.st_mode) && (place.access & (kWriteFiles | kCreateFiles)) != 0) {
    files_.Remember(object, std::move(name));
  }
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
