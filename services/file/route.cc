#include "services/file/route.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "capbroker/file/v1/file_opener.pb.h"
#include "services/file/host_error.h"
#include "services/file/open_at.h"

namespace capbroker::file {
namespace {

constexpr FdRef kAbsolute = FdRef::FromRaw(AT_FDCWD);

using Roots = google::protobuf::RepeatedPtrField<std::string>;

bool Contains(const Roots& sorted, absl::string_view root) {
  return std::binary_search(sorted.begin(), sorted.end(), root, std::less<absl::string_view>());
}

// The longest of the application's roots that is `path` or above it, without its
// final slash.
std::optional<absl::string_view> TrustedRoot(const Roots& roots, absl::string_view path) {
  if (roots.empty()) return std::nullopt;
  if (Contains(roots, path) || Contains(roots, absl::StrCat(path, "/"))) return path;
  for (size_t slash = path.rfind('/'); slash != 0; slash = path.rfind('/', slash - 1)) {
    if (Contains(roots, path.substr(0, slash + 1))) return path.substr(0, slash);
  }
  if (Contains(roots, "/")) return path.substr(0, 1);
  return std::nullopt;
}

// `path` from the directory `above`, which is "/" or a prefix of it.
std::string Below(absl::string_view above, absl::string_view path) {
  path.remove_prefix(above.size());
  if (absl::StartsWith(path, "/")) path.remove_prefix(1);
  return std::string(path);
}

// Splits "a/b/c" into "a/b" and "c", and "c" into "" and "c".
std::pair<std::string, std::string> SplitLast(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

}  // namespace

// TRUST(worker): `path` is what the request holds.
absl::StatusOr<Route> Route::Plan(const authority::Limits& limits, absl::string_view path) {
  if (!authority::IsNormalPath(path)) {
    return absl::InvalidArgumentError("path is not absolute and in normal form");
  }
  // INVARIANT(name-checked-before-look): the checker has asked this already; asked
  // here too because the answer decides where resolution has to stay.
  const std::optional<authority::PathSet::Coverage> granted = limits.paths("paths").Cover(path);
  if (!granted.has_value()) return RefuseObject("paths");
  const auto* message =
      google::protobuf::DynamicCastToGenerated<v1::FileOpenerLimits>(limits.message());
  std::optional<absl::string_view> trusted;
  if (message != nullptr) trusted = TrustedRoot(message->trusted_roots(), path);

  Route route;
  if (trusted.has_value() && trusted->size() >= granted->root.size()) {
    // The application named something within the grant, or the grant itself.
    route.start_ = std::string(*trusted);
    route.beneath_ = Below(*trusted, path);
    route.base_path_ = route.start_;
    route.directory_ = granted->directory;
  } else {
    route.start_ = std::string(trusted.value_or("/"));
    route.to_base_ = Below(route.start_, granted->root);
    route.beneath_ = std::string(granted->beneath);
    route.base_path_ = std::string(granted->root);
    route.directory_ = granted->directory;
  }
  return route;
}

absl::StatusOr<UniqueFd> Route::OpenStart(uint64_t flags) const {
  return OpenAt(kAbsolute, start_, flags, Resolve::kAnySymlinks);
}

absl::StatusOr<UniqueFd> Route::OpenBase(uint64_t flags) const {
  if (to_base_.empty()) return OpenStart(flags);
  // INVARIANT(limits-never-widen): whoever narrowed may have written `to_base_`.
  if (start_ == "/") {
    return OpenAt(kAbsolute, absl::StrCat("/", to_base_), flags, Resolve::kNoSymlinks);
  }
  CB_ASSIGN_OR_RETURN(const UniqueFd start, OpenStart(O_PATH | O_DIRECTORY));
  return OpenAt(start, to_base_, flags, Resolve::kBeneathWithoutSymlinks);
}

absl::StatusOr<UniqueFd> Route::Open(uint64_t flags) const {
  if (beneath_.empty()) return OpenBase(flags);
  CB_ASSIGN_OR_RETURN(const UniqueFd base, FindBase());
  return OpenAt(base, beneath_, flags, Resolve::kBeneath);
}

absl::StatusOr<UniqueFd> Route::FindBase() const {
  return OpenBase(beneath_.empty() ? O_PATH : O_PATH | O_DIRECTORY);
}

absl::StatusOr<UniqueFd> Route::FindObject(FinalSymlink final_symlink) const {
  return Open(final_symlink == FinalSymlink::kKeep ? O_PATH | O_NOFOLLOW : O_PATH);
}

absl::StatusOr<UniqueFd> Route::FindDirectory() const {
  // Looked at before it is taken for a directory: O_DIRECTORY alone would answer
  // the same for a file in the way as for a file at the end.
  CB_ASSIGN_OR_RETURN(UniqueFd object, FindObject(FinalSymlink::kFollow));
  struct stat status = {};
  if (fstat(object.get(), &status) != 0) return HostError(errno);
  if (!S_ISDIR(status.st_mode)) return absl::FailedPreconditionError("not a directory");
  return object;
}

absl::StatusOr<Entry> Route::FindEntry() const {
  if (!beneath_.empty()) {
    auto [parent, name] = SplitLast(beneath_);
    CB_ASSIGN_OR_RETURN(UniqueFd base, FindBase());
    if (parent.empty()) return Entry{std::move(base), std::move(name)};
    CB_ASSIGN_OR_RETURN(UniqueFd directory,
                        OpenAt(base, parent, O_PATH | O_DIRECTORY, Resolve::kBeneath));
    return Entry{std::move(directory), std::move(name)};
  }
  // The parent of a granted directory is not granted. That of a path granted
  // exactly is part of the way, and only this name in it will be touched.
  if (directory_) return RefuseObject("paths");
  Route parent;
  std::string name;
  if (to_base_.empty()) {
    std::tie(parent.start_, name) = SplitLast(start_);
    if (parent.start_.empty()) parent.start_ = "/";
  } else {
    parent.start_ = start_;
    std::tie(parent.to_base_, name) = SplitLast(to_base_);
  }
  CB_ASSIGN_OR_RETURN(UniqueFd directory, parent.OpenBase(O_PATH | O_DIRECTORY));
  return Entry{std::move(directory), std::move(name)};
}

}  // namespace capbroker::file
