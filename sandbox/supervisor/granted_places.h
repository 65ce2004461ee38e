// From a name that a worker wrote to the place in a grant that it stands for.
//
// This is arithmetic on text and decides only where a walk starts. The walk itself, with all
// symlinks and ".." in it, is the kernel's (base/open_how.h), and ends at the root of the
// place. ".." that by the text alone would leave a place is taken by the text:
// "/srv/data/../other" is "/srv/other", whatever /srv/data is.
//
// Lives in: the supervisor. Immutable.
#ifndef SANDBOX_SUPERVISOR_GRANTED_PLACES_H_
#define SANDBOX_SUPERVISOR_GRANTED_PLACES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/file_grant.h"
#include "base/unique_fd.h"

namespace capbroker::sandbox {

// A grant whose path has been walked.
struct GrantedPlace {
  std::string path;  // of the grant
  unsigned access = 0;
  UniqueFd root;         // the tree, or the directory that holds the file
  std::string leaf;      // the file's name in it; empty for a tree
  uint64_t mount = 0;    // the id of its own (mount_id.h); 0: it has none
  bool implied = false;  // what every program may read, not a grant of this worker

  bool is_file() const { return !leaf.empty(); }
};

struct Location {
  const GrantedPlace* place = nullptr;
  std::string beneath;  // from the root: never empty, never absolute
};

class GrantedPlaces {
 public:
  explicit GrantedPlaces(std::vector<GrantedPlace> places);

  // Where `name`, an absolute path, may be looked for, the nearest grant first. Empty: not granted.
  std::vector<Location> Find(absl::string_view name) const;
  // True if `name` is above a granted path. Such a directory is nothing but a part of a name that
  // the worker knows anyway.
  bool IsAbove(absl::string_view name) const;

  const std::vector<GrantedPlace>& places() const { return places_; }

 private:
  std::vector<GrantedPlace> places_;
  std::vector<std::vector<std::string>> components_;  // of each place's path
};

// `name` without ".", ".." and double slashes, by its text alone. `name` is absolute.
std::string NormalName(absl::string_view name);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_GRANTED_PLACES_H_
