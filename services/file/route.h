// From a granted path to its object, without leaving what was granted.
//
// A path has up to three parts, written by different people, and a symlink means
// something else in each:
//
//   /var/run  /app/public  /img/logo.png
//   start     to_base      beneath
//
// - The *start* is a root that the application named (`trusted_roots`), or "/".
//   The application is trusted, so symlinks on that way are followed: whoever
//   grants "/var/run/" means what it means to them.
// - `to_base` leads on to the entry of `paths` that covers the request. A holder
//   may have written it by narrowing the channel: from "/srv/" to
//   "/srv/sub/link/", where the link leads to "/etc". If that were followed as
//   an application's name is, narrowing would widen. So there are no symlinks.
// - *Beneath* the base symlinks are followed as long as they stay beneath it.
//
// The naive way, to follow symlinks up to whatever entry the limits hold, lets
// everybody who can narrow and has one symlink read the whole host.
//
// A route is walked anew for each call. What is granted is a name and not the
// object that once had it: a directory that is replaced (a deployment), or a file
// (an editor's rename), is found under its name, and a service process that is
// started again after a crash finds the same as its predecessor.
//
// Lives in: the service process. Immutable; thread-safe.
#ifndef SERVICES_FILE_ROUTE_H_
#define SERVICES_FILE_ROUTE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "authority/limits.h"
#include "base/unique_fd.h"

namespace capbroker::file {

// What to do about a symlink that a path ends at.
enum class FinalSymlink { kFollow, kKeep };

// A directory, and the name of an entry that may or may not exist.
struct Entry {
  UniqueFd directory;
  std::string name;
};

class Route {
 public:
  // INVALID_ARGUMENT: `path` is not in normal form. PERMISSION_DENIED: not granted.
  static absl::StatusOr<Route> Plan(const authority::Limits& limits, absl::string_view path);

  // The object at the end, as an O_PATH descriptor. Nothing is opened yet: to
  // open a device or a FIFO is to do something to it.
  absl::StatusOr<UniqueFd> FindObject(FinalSymlink final_symlink) const;
  // The same for what must be a directory. FAILED_PRECONDITION: it is not.
  absl::StatusOr<UniqueFd> FindDirectory() const;
  // The directory that holds the last component.
  // PERMISSION_DENIED: the path is a granted directory itself.
  absl::StatusOr<Entry> FindEntry() const;

  // The granted directory that bounds the way, as an O_PATH descriptor.
  absl::StatusOr<UniqueFd> FindBase() const;
  // What it is called: start and to_base.
  const std::string& base_path() const { return base_path_; }
  // The rest of the path; empty when the path is the base itself.
  const std::string& beneath() const { return beneath_; }
  // Whether what is beneath the base is granted with it.
  bool directory() const { return directory_; }

 private:
  absl::StatusOr<UniqueFd> OpenStart(uint64_t flags) const;
  absl::StatusOr<UniqueFd> OpenBase(uint64_t flags) const;
  absl::StatusOr<UniqueFd> Open(uint64_t flags) const;

  std::string start_;    // absolute
  std::string to_base_;  // relative to start_; may be empty
  std::string beneath_;  // relative to the base; may be empty
  std::string base_path_;
  bool directory_ = false;
};

}  // namespace capbroker::file

#endif  // SERVICES_FILE_ROUTE_H_
