#include "services/file/granted_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "services/file/file_content.h"
#include "services/file/host_error.h"
#include "services/file/object_checks.h"
#include "services/file/open_at.h"

namespace capbroker::file {
namespace {

constexpr int kMaxRealPathTries = 16;
constexpr uint32_t kPermissionBits = 0777;

absl::StatusOr<int> OpenFlags(v1::Access access) {
  switch (access) {
    case v1::ACCESS_READ:
      return O_RDONLY;
    case v1::ACCESS_WRITE:
      return O_WRONLY;
    case v1::ACCESS_READ_WRITE:
      return O_RDWR;
    case v1::ACCESS_APPEND:
      return O_WRONLY | O_APPEND;
    default:
      return absl::InvalidArgumentError("no such access");
  }
}

bool SameObject(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

// What follows `directory` in `path`, or nothing if it is not beneath.
std::optional<absl::string_view> Beneath(absl::string_view directory, absl::string_view path) {
  if (path == directory) return "";
  if (!absl::StartsWith(path, directory)) return std::nullopt;
  path.remove_prefix(directory.size());
  if (directory == "/") return path;
  return absl::StartsWith(path, "/") ? std::make_optional(path.substr(1)) : std::nullopt;
}

std::string Join(absl::string_view directory, absl::string_view beneath) {
  if (beneath.empty()) return std::string(directory);
  return absl::StrCat(directory, directory == "/" ? "" : "/", beneath);
}

}  // namespace

absl::StatusOr<GrantedFiles::OpenedFile> GrantedFiles::Open(absl::string_view path,
                                                            v1::Access access, Opens opens) const {
  CB_ASSIGN_OR_RETURN(const int flags, OpenFlags(access));
  CB_ASSIGN_OR_RETURN(const Route route, Route::Plan(limits_, path));
  CB_ASSIGN_OR_RETURN(const UniqueFd object, route.FindObject(FinalSymlink::kFollow));
  const Effect effect = access == v1::ACCESS_READ ? Effect::kLook : Effect::kChange;
  CB_ASSIGN_OR_RETURN(const struct stat status, Look(limits_, object, effect));
  CB_RETURN_IF_ERROR(CheckOpening(limits_, status, access));
  // Before it is opened: of a FIFO or a device that is to do something to it.
  if (opens == Opens::kRegularFiles && !S_ISREG(status.st_mode)) return RefuseObject("kinds");
  OpenedFile file;
  CB_ASSIGN_OR_RETURN(file.fd, reopener_.Reopen(object, flags));
  if (S_ISREG(status.st_mode)) {
    file.size = static_cast<uint64_t>(status.st_size);
    if (effect == Effect::kChange) CB_RETURN_IF_ERROR(CheckNoFileCapabilities(file.fd));
  }
  return file;
}

absl::StatusOr<v1::ReadResponse> GrantedFiles::Read(absl::string_view path, uint64_t offset,
                                                    size_t size) const {
  CB_ASSIGN_OR_RETURN(const OpenedFile file, Open(path, v1::ACCESS_READ, Opens::kRegularFiles));
  CB_ASSIGN_OR_RETURN(v1::ReadResponse piece, ReadContent(file.fd, offset, size));
  // INVARIANT(object-checked-after-look): it may have grown meanwhile, or say that it has no size.
  const size_t read = piece.content().size();
  if (read != 0 && !limits_.WithinMaximum("max_size", offset + read))
    return RefuseObject("max_size");
  return piece;
}

absl::StatusOr<v1::WriteResponse> GrantedFiles::Write(absl::string_view path,
                                                      std::optional<uint64_t> offset,
                                                      absl::string_view content) const {
  const v1::Access access = offset.has_value() ? v1::ACCESS_WRITE : v1::ACCESS_APPEND;
  CB_ASSIGN_OR_RETURN(const OpenedFile file, Open(path, access, Opens::kRegularFiles));
  const uint64_t start = offset.value_or(file.size);
  if (start > kMaxOffset || !limits_.WithinMaximum("max_size", start + content.size())) {
    return RefuseObject("max_size");
  }
  CB_RETURN_IF_ERROR(WriteContent(file.fd, start, content));
  v1::WriteResponse response;
  CB_ASSIGN_OR_RETURN(const uint64_t identity, IdentityOf(file.fd));
  response.set_file(identity);
  return response;
}

absl::StatusOr<GrantedFiles::CreatedFile> GrantedFiles::Create(absl::string_view path,
                                                               v1::Access access,
                                                               uint32_t mode) const {
  CB_ASSIGN_OR_RETURN(const int flags, OpenFlags(access));
  if ((mode & ~kPermissionBits) != 0) {
    return absl::InvalidArgumentError("mode has more than permission bits");
  }
  CB_ASSIGN_OR_RETURN(const Route route, Route::Plan(limits_, path));
  CB_ASSIGN_OR_RETURN(Entry entry, route.FindEntry());
  CB_RETURN_IF_ERROR(Look(limits_, entry.directory, Effect::kChange).status());
  // With O_EXCL a symlink in the place of the file is in the way, wherever it leads.
  CB_ASSIGN_OR_RETURN(UniqueFd fd,
                      OpenAt(entry.directory, entry.name, O_CREAT | O_EXCL | O_NOFOLLOW | flags,
                             Resolve::kBeneathWithoutSymlinks, mode));
  struct stat status = {};
  if (fstat(fd.get(), &status) != 0) return HostError(errno);
  return CreatedFile(std::move(fd), std::move(entry), status);
}

GrantedFiles::CreatedFile::~CreatedFile() {
  if (!entry_.directory.valid()) return;  // kept, or moved from
  struct stat named = {};
  if (fstatat(entry_.directory.get(), entry_.name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
      SameObject(status_, named)) {
    unlinkat(entry_.directory.get(), entry_.name.c_str(), 0);
  }
}

absl::StatusOr<struct stat> GrantedFiles::Stat(absl::string_view path,
                                               FinalSymlink final_symlink) const {
  CB_ASSIGN_OR_RETURN(const Route route, Route::Plan(limits_, path));
  CB_ASSIGN_OR_RETURN(const UniqueFd object, route.FindObject(final_symlink));
  return Look(limits_, object, Effect::kLook);
}

absl::StatusOr<std::string> GrantedFiles::ReadLink(absl::string_view path) const {
  CB_ASSIGN_OR_RETURN(const Route route, Route::Plan(limits_, path));
  CB_ASSIGN_OR_RETURN(const UniqueFd object, route.FindObject(FinalSymlink::kKeep));
  CB_ASSIGN_OR_RETURN(const struct stat status, Look(limits_, object, Effect::kLook));
  if (!S_ISLNK(status.st_mode)) return absl::FailedPreconditionError("not a symlink");
  char target[PATH_MAX];
  const ssize_t size = readlinkat(object.get(), "", target, sizeof target);
  if (size < 0) return HostError(errno);
  return std::string(target, static_cast<size_t>(size));
}

absl::StatusOr<std::string> GrantedFiles::RealPath(absl::string_view path) const {
  CB_ASSIGN_OR_RETURN(const Route route, Route::Plan(limits_, path));
  CB_ASSIGN_OR_RETURN(const UniqueFd object, route.FindObject(FinalSymlink::kFollow));
  CB_RETURN_IF_ERROR(Look(limits_, object, Effect::kLook).status());
  return RealPathOf(route, object);
}

absl::StatusOr<std::string> GrantedFiles::RealPathOf(const Route& route, FdRef object) const {
  if (route.beneath().empty()) return route.base_path();
  struct stat status = {};
  if (fstat(object.get(), &status) != 0) return HostError(errno);
  for (int i = 0; i < kMaxRealPathTries; ++i) {
    CB_ASSIGN_OR_RETURN(const UniqueFd base, route.FindBase());
    CB_ASSIGN_OR_RETURN(const std::string base_path, reopener_.PathHint(base));
    CB_ASSIGN_OR_RETURN(const std::string object_path, reopener_.PathHint(object));
    const std::optional<absl::string_view> beneath = Beneath(base_path, object_path);
    if (!beneath.has_value()) continue;
    std::string real = Join(route.base_path(), *beneath);
    if (beneath->empty()) return real;
    // The two hints may be of different moments, and a removed object's says
    // " (deleted)": only a path that leads to the object without a symlink counts.
    const absl::StatusOr<UniqueFd> found =
        OpenAt(base, std::string(*beneath), O_PATH | O_NOFOLLOW, Resolve::kBeneathWithoutSymlinks);
    struct stat found_status = {};
    if (!found.ok() || fstat(found->get(), &found_status) != 0 ||
        !SameObject(found_status, status)) {
      continue;
    }
    // INVARIANT(object-checked-after-look): a path is told only if it is granted.
    if (!limits_.paths("paths").Allows(real)) return RefuseObject("paths");
    return real;
  }
  return absl::UnavailableError("moved meanwhile");
}

absl::StatusOr<UniqueFd> GrantedFiles::OpenForListing(absl::string_view path) const {
  CB_ASSIGN_OR_RETURN(const Route route, Route::Plan(limits_, path));
  if (!limits_.CoversDirectory("paths", path)) return RefuseObject("paths");
  CB_ASSIGN_OR_RETURN(const UniqueFd object, route.FindDirectory());
  CB_RETURN_IF_ERROR(Look(limits_, object, Effect::kLook).status());
  // "." of a held directory is that directory.
  return OpenAt(object, ".", O_RDONLY | O_DIRECTORY, Resolve::kBeneathWithoutSymlinks);
}

absl::StatusOr<std::string> GrantedFiles::RealDirectory(absl::string_view path) const {
  CB_ASSIGN_OR_RETURN(const Route route, Route::Plan(limits_, path));
  if (!limits_.CoversDirectory("paths", path)) return RefuseObject("paths");
  CB_ASSIGN_OR_RETURN(const UniqueFd object, route.FindDirectory());
  CB_RETURN_IF_ERROR(Look(limits_, object, Effect::kLook).status());
  return RealPathOf(route, object);
}

}  // namespace capbroker::file
