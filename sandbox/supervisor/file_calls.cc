#include "sandbox/supervisor/file_calls.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "base/open_how.h"
#include "sandbox/supervisor/capability_errno.h"
#include "sandbox/supervisor/worker_memory.h"
#include "sandbox/table/system_calls.h"

namespace capbroker::sandbox {
namespace {

constexpr uint64_t kLargeFile = 0100000;      // O_LARGEFILE to the kernel
constexpr uint64_t kTemporary = 020000000;    // O_TMPFILE without O_DIRECTORY
constexpr uint64_t kSyncTypes = 0x6000;       // AT_STATX_SYNC_TYPE
constexpr uint64_t kEffectiveAccess = 0x200;  // AT_EACCESS
constexpr uint64_t kCached = 0x20;            // RESOLVE_CACHED
constexpr uint64_t kKnownResolve = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS |
                                   RESOLVE_BENEATH | RESOLVE_IN_ROOT | kCached;
// Not O_NOATIME, O_ASYNC, nor what is not known here.
constexpr uint64_t kOpenFlags = O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_APPEND | O_NONBLOCK |
                                O_SYNC | O_DIRECT | O_DIRECTORY | O_NOFOLLOW | kLargeFile;
constexpr uint64_t kPathFlags = O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

int Descriptor(uint64_t argument) { return static_cast<int>(static_cast<uint32_t>(argument)); }

// What the flags of an open ask of a grant.
unsigned NeededAccess(uint64_t flags) {
  const uint64_t mode = flags & O_ACCMODE;
  unsigned needed = mode == O_RDONLY   ? kReadFiles
                    : mode == O_WRONLY ? kWriteFiles
                                       : kReadFiles | kWriteFiles;
  if ((flags & O_TRUNC) != 0) needed |= kWriteFiles;
  return needed;
}

// Files of procfs tell about whoever opens them, and that is the supervisor. As a device, one
// needs a grant of its own.
bool IsOfProc(FdRef file) {
  struct statfs status;
  return fstatfs(file.get(), &status) != 0 || status.f_type == PROC_SUPER_MAGIC;
}

// What a directory above the grants looks like.
struct stat StatusAbove() {
  struct stat status = {};
  status.st_mode = S_IFDIR | 0111;
  status.st_nlink = 2;
  status.st_blksize = 4096;
  status.st_uid = status.st_gid = 65534;
  return status;
}

struct statx ExtendedStatusAbove() {
  struct statx status = {};
  status.stx_mask = STATX_TYPE | STATX_MODE | STATX_NLINK | STATX_UID | STATX_GID;
  status.stx_mode = S_IFDIR | 0111;
  status.stx_nlink = 2;
  status.stx_blksize = 4096;
  status.stx_uid = status.stx_gid = 65534;
  return status;
}

}  // namespace

FileCalls::FileCalls(GrantedNames& names) : names_(names) {
  for (const Named& named : Methods()) {
    const std::optional<int> number = SystemCallNumber(named.name, kNativeArchitecture);
    if (number.has_value()) methods_[*number] = named.method;
  }
}

const std::vector<FileCalls::Named>& FileCalls::Methods() {
  static const std::vector<Named>* const methods = new std::vector<Named>{
      {"open", &FileCalls::OnOpen},
      {"creat", &FileCalls::OnCreat},
      {"openat", &FileCalls::OnOpenat},
      {"openat2", &FileCalls::OnOpenat2},
      {"stat", &FileCalls::OnStat},
      {"lstat", &FileCalls::OnLstat},
      {"newfstatat", &FileCalls::OnNewfstatat},
      {"statx", &FileCalls::OnStatx},
      {"access", &FileCalls::OnAccess},
      {"faccessat", &FileCalls::OnFaccessat},
      {"faccessat2", &FileCalls::OnFaccessat2},
      {"readlink", &FileCalls::OnReadlink},
      {"readlinkat", &FileCalls::OnReadlinkat},
      {"chdir", &FileCalls::OnChdir},
      {"fchdir", &FileCalls::OnFchdir},
      {"getcwd", &FileCalls::OnGetcwd},
      {"umask", &FileCalls::OnUmask},
  };
  return *methods;
}

std::vector<std::string> FileCalls::Names() {
  std::vector<std::string> names;
  for (const Named& named : Methods()) names.push_back(named.name);
  return names;
}

std::optional<Answer> FileCalls::AnswerTo(const Notification& call) {
  const auto method = methods_.find(call.call().nr);
  if (method == methods_.end()) return std::nullopt;
  return (this->*method->second)(call);
}

Answer FileCalls::WriteTo(const Notification& call, uint64_t address, const void* data, size_t size,
                          int64_t result) const {
  // Should the caller go away after this, nobody can have its number whom the kernel lets a
  // supervisor write to: Landlock allows it this worker alone.
  if (!call.IsWaiting()) return Failure(ESRCH);
  const int error = WorkerMemory(call.thread()).Write(address, data, size);
  return error == 0 ? Result(result) : Failure(error);
}

Answer FileCalls::Open(const Notification& call, const PathArgument& argument,
                       OpenRequest request) {
  if ((request.flags & kTemporary) != 0) return Failure(EOPNOTSUPP);
  if ((request.flags & O_PATH) != 0) {
    // The kernel puts no such descriptor into another process; for reading is the nearest.
    request.only_path = true;
    request.flags = (request.flags & kPathFlags) | O_NONBLOCK;
  }
  const PathRead read = names_.Read(call, argument);
  if (read.error_number != 0) return Failure(read.error_number);
  return (request.resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) != 0
             ? OpenWithin(read, request)
             : OpenLocated(call, read, request);
}

Answer FileCalls::OpenLocated(const Notification& call, const PathRead& read,
                              const OpenRequest& request) {
  const std::string name = read.Name();
  OpenHow how = {.flags = request.flags & kOpenFlags, .mode = 0, .resolve = request.resolve};
  const unsigned needed = NeededAccess(request.flags);
  const bool create = (how.flags & O_CREAT) != 0;
  const std::vector<Location> locations =
      names_.Locate(name, needed | (create ? kCreateFiles : 0u));
  if (request.only_path) names_.OnlyLooked();
  // INVARIANT(name-checked-before-look)
  const Location* location = nullptr;
  if (create) {
    location = FirstWith(locations, needed | kCreateFiles);
    // Not more than the permissions: the file belongs to the supervisor's user, and
    // set-user-id would lend who that is to what the worker writes.
    how.mode =
        request.mode & 0777 & ~uint64_t{names_.working_places().Of(call.thread()).file_mode_mask};
  }
  if (location == nullptr) {
    location = FirstWith(locations, needed);
    if (location == nullptr) return Failure(names_.NotGranted(name));
    if (create) {
      // Opening what exists takes no right to create.
      if ((how.flags & O_EXCL) != 0) return Failure(kEnotcapable);
      how.flags &= ~uint64_t{O_CREAT};
      how.mode = 0;
    }
  }
  Opened opened = Walk(*location, how);
  if (!opened.fd.valid()) {
    const bool would_create = create && (how.flags & O_CREAT) == 0 && opened.error_number == ENOENT;
    return Failure(would_create ? kEnotcapable : opened.error_number);
  }
  return Give(std::move(opened.fd), *location->place, name, request);
}

// The worker wants a walk that ends at a directory of its own choice, so the walk has to start
// there. That directory is beneath a grant; so is what is beneath the directory.
Answer FileCalls::OpenWithin(const PathRead& read, const OpenRequest& request) {
  if ((request.flags & O_CREAT) != 0) return Failure(EOPNOTSUPP);
  if (read.base.empty()) return Failure(EXDEV);
  const unsigned needed = NeededAccess(request.flags);
  const std::vector<Location> locations = names_.Locate(read.base, needed);
  const Location* location = FirstWith(locations, needed);
  if (location == nullptr) return Failure(kEnotcapable);
  const Opened base = Walk(*location, {.flags = O_PATH | O_DIRECTORY});
  if (!base.fd.valid()) return Failure(base.error_number);
  Opened opened = OpenPath(
      base.fd, read.path.c_str(),
      {.flags = request.flags & kOpenFlags,
       .resolve = request.resolve | (request.resolve & RESOLVE_IN_ROOT ? 0 : RESOLVE_BENEATH)});
  if (!opened.fd.valid()) return Failure(opened.error_number);
  return Give(std::move(opened.fd), *location->place, read.Name(), request);
}

// INVARIANT(object-checked-after-look)
Answer FileCalls::Give(UniqueFd fd, const GrantedPlace& place, std::string name,
                       const OpenRequest& request) {
  struct stat status;
  if (fstat(fd.get(), &status) != 0) return Failure(errno);
  if (S_ISBLK(status.st_mode) || (S_ISCHR(status.st_mode) && !place.is_file())) {
    return Failure(kEnotcapable);
  }
  if (!place.is_file() && IsOfProc(fd)) return Failure(kEnotcapable);
  if (request.only_path && !S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode)) {
    return Failure(EOPNOTSUPP);
  }
  names_.Remember(status, std::move(name), place);
  Answer answer;
  answer.descriptor = std::move(fd);
  answer.close_on_exec = (request.flags & O_CLOEXEC) != 0;
  return answer;
}

Answer FileCalls::Status(const Notification& call, const PathArgument& argument, uint64_t flags,
                         uint64_t result_address) {
  constexpr uint64_t kFlags = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT;
  if ((flags & ~kFlags) != 0) return Failure(EINVAL);
  const Object object = names_.Find(
      call, argument, {.follow = (flags & AT_SYMLINK_NOFOLLOW) == 0, .access = 0, .open_flags = 0});
  if (object.error_number != 0) return Failure(object.error_number);
  struct stat status = StatusAbove();
  if (!object.above && fstat(object.fd.get(), &status) != 0) return Failure(errno);
  return WriteTo(call, result_address, &status, sizeof status, 0);
}

Answer FileCalls::Access(const Notification& call, const PathArgument& argument, uint64_t mode,
                         uint64_t flags) {
  constexpr uint64_t kFlags = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | kEffectiveAccess;
  if ((flags & ~kFlags) != 0 || (mode & ~uint64_t{R_OK | W_OK | X_OK}) != 0) {
    return Failure(EINVAL);
  }
  const unsigned access =
      ((mode & R_OK) != 0 ? kReadFiles : 0u) | ((mode & W_OK) != 0 ? kWriteFiles : 0u);
  LookRequest request = {
      .follow = (flags & AT_SYMLINK_NOFOLLOW) == 0, .access = access, .open_flags = 0};
  if ((mode & X_OK) != 0) request.access |= kRunFiles;
  Object object = names_.Find(call, argument, request);
  const bool runs = (mode & X_OK) != 0 && object.fd.valid();
  if (object.error_number == kEnotcapable && request.access != access) {
    // A directory is passed through, which takes no grant to execute.
    request.access = access;
    object = names_.Find(call, argument, request);
  }
  if (object.error_number != 0) return Failure(object.error_number);
  if (object.above) return (mode & (R_OK | W_OK)) != 0 ? Failure(kEnotcapable) : Result(0);
  struct stat status;
  if (fstat(object.fd.get(), &status) != 0) return Failure(errno);
  // What the supervisor sees cannot be executed there, whatever the worker may execute.
  if ((mode & X_OK) != 0 && !S_ISDIR(status.st_mode)) {
    if (!runs || (status.st_mode & 0111) == 0) return Failure(EACCES);
    mode &= ~uint64_t{X_OK};
  }
  const long result = syscall(SYS_faccessat2, object.fd.get(), "", static_cast<int>(mode),
                              AT_EMPTY_PATH | kEffectiveAccess);
  return result == 0 ? Result(0) : Failure(errno);
}

Answer FileCalls::ReadLink(const Notification& call, const PathArgument& argument, uint64_t address,
                           uint64_t size) {
  const int room = Descriptor(size);
  if (room <= 0) return Failure(EINVAL);
  const Object object =
      names_.Find(call, argument, {.follow = false, .access = 0, .open_flags = 0});
  if (object.error_number != 0) return Failure(object.error_number);
  struct stat status;
  if (object.above || fstat(object.fd.get(), &status) != 0 || !S_ISLNK(status.st_mode)) {
    return Failure(EINVAL);
  }
  char target[PATH_MAX];
  const ssize_t length = readlinkat(object.fd.get(), "", target, sizeof target);
  if (length < 0) return Failure(errno);
  const size_t taken = std::min(static_cast<size_t>(length), static_cast<size_t>(room));
  return WriteTo(call, address, target, taken, static_cast<int64_t>(taken));
}

Answer FileCalls::OnOpen(const Notification& call) {
  return Open(call, {AT_FDCWD, call.argument(0)},
              {.flags = static_cast<uint32_t>(call.argument(1)), .mode = call.argument(2)});
}

Answer FileCalls::OnCreat(const Notification& call) {
  return Open(call, {AT_FDCWD, call.argument(0)},
              {.flags = O_CREAT | O_WRONLY | O_TRUNC, .mode = call.argument(1)});
}

Answer FileCalls::OnOpenat(const Notification& call) {
  return Open(call, {Descriptor(call.argument(0)), call.argument(1)},
              {.flags = static_cast<uint32_t>(call.argument(2)), .mode = call.argument(3)});
}

Answer FileCalls::OnOpenat2(const Notification& call) {
  open_how how = {};
  if (call.argument(3) < sizeof how) return Failure(EINVAL);
  // Of a longer one nothing is known here: as an older kernel would answer.
  if (call.argument(3) > sizeof how) return Failure(E2BIG);
  const int error = WorkerMemory(call.thread()).Read(call.argument(2), &how, sizeof how);
  if (error != 0) return Failure(error);
  if ((how.resolve & ~kKnownResolve) != 0) return Failure(EINVAL);
  if ((how.resolve & kCached) != 0) return Failure(EAGAIN);
  return Open(call, {Descriptor(call.argument(0)), call.argument(1)},
              {.flags = how.flags, .mode = how.mode, .resolve = how.resolve});
}

Answer FileCalls::OnStat(const Notification& call) {
  return Status(call, {AT_FDCWD, call.argument(0)}, 0, call.argument(1));
}

Answer FileCalls::OnLstat(const Notification& call) {
  return Status(call, {AT_FDCWD, call.argument(0)}, AT_SYMLINK_NOFOLLOW, call.argument(1));
}

Answer FileCalls::OnNewfstatat(const Notification& call) {
  const uint64_t flags = static_cast<uint32_t>(call.argument(3));
  return Status(call,
                {Descriptor(call.argument(0)), call.argument(1), (flags & AT_EMPTY_PATH) != 0},
                flags, call.argument(2));
}

Answer FileCalls::OnStatx(const Notification& call) {
  constexpr uint64_t kFlags = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | kSyncTypes;
  const uint64_t flags = static_cast<uint32_t>(call.argument(2));
  const unsigned mask = static_cast<uint32_t>(call.argument(3));
  if ((flags & ~kFlags) != 0) return Failure(EINVAL);
  const Object object = names_.Find(
      call, {Descriptor(call.argument(0)), call.argument(1), (flags & AT_EMPTY_PATH) != 0},
      {.follow = (flags & AT_SYMLINK_NOFOLLOW) == 0, .access = 0, .open_flags = 0});
  if (object.error_number != 0) return Failure(object.error_number);
  struct statx status = ExtendedStatusAbove();
  if (!object.above && syscall(SYS_statx, object.fd.get(), "", AT_EMPTY_PATH | (flags & kSyncTypes),
                               mask, &status) != 0) {
    return Failure(errno);
  }
  return WriteTo(call, call.argument(4), &status, sizeof status, 0);
}

Answer FileCalls::OnAccess(const Notification& call) {
  return Access(call, {AT_FDCWD, call.argument(0)}, static_cast<uint32_t>(call.argument(1)), 0);
}

Answer FileCalls::OnFaccessat(const Notification& call) {
  return Access(call, {Descriptor(call.argument(0)), call.argument(1)},
                static_cast<uint32_t>(call.argument(2)), 0);
}

Answer FileCalls::OnFaccessat2(const Notification& call) {
  const uint64_t flags = static_cast<uint32_t>(call.argument(3));
  return Access(call,
                {Descriptor(call.argument(0)), call.argument(1), (flags & AT_EMPTY_PATH) != 0},
                static_cast<uint32_t>(call.argument(2)), flags);
}

Answer FileCalls::OnReadlink(const Notification& call) {
  return ReadLink(call, {AT_FDCWD, call.argument(0)}, call.argument(1), call.argument(2));
}

Answer FileCalls::OnReadlinkat(const Notification& call) {
  // An empty path means the descriptor's own link, without any flag; none is an error.
  const bool states_path = call.argument(1) != 0;
  return ReadLink(call, {Descriptor(call.argument(0)), call.argument(1), states_path},
                  call.argument(2), call.argument(3));
}

Answer FileCalls::OnChdir(const Notification& call) {
  const PathRead read = names_.Read(call, {AT_FDCWD, call.argument(0)});
  if (read.error_number != 0) return Failure(read.error_number);
  const std::string name = read.Name();
  const Object object = names_.Find(name, {.follow = true, .access = 0, .open_flags = O_DIRECTORY});
  if (object.error_number != 0) return Failure(object.error_number);
  std::string settled = NormalName(name);
  if (!object.above) {
    struct stat status;
    if (fstat(object.fd.get(), &status) != 0 ||
        syscall(SYS_faccessat2, object.fd.get(), "", X_OK, AT_EMPTY_PATH | kEffectiveAccess) != 0) {
      return Failure(errno);
    }
    settled = names_.Settle(name, status);
  }
  return EnterDirectory(call, std::move(settled));
}

Answer FileCalls::OnFchdir(const Notification& call) {
  std::string name;
  const int error = names_.NameOfDescriptor(call.thread(), Descriptor(call.argument(0)), name);
  return error == 0 ? EnterDirectory(call, std::move(name)) : Failure(error);
}

Answer FileCalls::EnterDirectory(const Notification& call, std::string name) const {
  if (name.size() >= PATH_MAX) return Failure(ENAMETOOLONG);
  WorkingPlace place = names_.working_places().Of(call.thread());
  place.directory = std::move(name);
  return names_.working_places().Set(place, 0);
}

Answer FileCalls::OnGetcwd(const Notification& call) {
  const std::string name = names_.working_places().Of(call.thread()).directory;
  const size_t size = name.size() + 1;
  if (call.argument(1) < size) return Failure(ERANGE);
  return WriteTo(call, call.argument(0), name.c_str(), size, static_cast<int64_t>(size));
}

Answer FileCalls::OnUmask(const Notification& call) {
  WorkingPlace place = names_.working_places().Of(call.thread());
  const uint32_t before = place.file_mode_mask;
  place.file_mode_mask = static_cast<uint32_t>(call.argument(0) & 0777);
  return names_.working_places().Set(place, before);
}

}  // namespace capbroker::sandbox
