// The names of files that a worker writes, and what they lead to under its grants.
//
// A path is read once, and gets the name of the directory that it is relative to in front; its
// place among the grants is found by the text, and the kernel walks from the root of that place
// and no further. What the text does not find is not looked at: ENOTCAPABLE.
//
// Directories above a granted path exist for the worker as far as their names: they can be
// looked at and passed through, and show nothing.
//
// Lives in: the supervisor. One thread.
#ifndef SANDBOX_SUPERVISOR_GRANTED_NAMES_H_
#define SANDBOX_SUPERVISOR_GRANTED_NAMES_H_

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/open_how.h"
#include "base/unique_fd.h"
#include "sandbox/supervisor/given_names.h"
#include "sandbox/supervisor/granted_places.h"
#include "sandbox/supervisor/journal.h"
#include "sandbox/supervisor/notification.h"
#include "sandbox/supervisor/worker_descriptors.h"
#include "sandbox/supervisor/working_place.h"

namespace capbroker::sandbox {

// A directory and a path, as the arguments of a call state them.
struct PathArgument {
  int directory;
  uint64_t address;
  bool may_be_empty = false;  // AT_EMPTY_PATH: the directory's descriptor is what is meant
};

struct PathRead {
  int error_number = 0;
  std::string base;  // the name of the directory; empty if the path is absolute
  std::string path;
  bool empty = false;  // see may_be_empty
  std::string Name() const { return base.empty() ? path : base + "/" + path; }
};

struct LookRequest {
  bool follow = true;       // a symlink at the end
  unsigned access = 0;      // that the grant must give
  uint64_t open_flags = 0;  // O_DIRECTORY
};

// What a name leads to, without opening it.
struct Object {
  int error_number = 0;
  UniqueFd fd;         // O_PATH
  bool above = false;  // a directory above the grants; then without `fd`
};

// A name in a directory, that may or may not exist.
struct Entry {
  int error_number = 0;
  UniqueFd directory;  // O_PATH
  std::string leaf;    // one component, perhaps with slashes behind
};

class GrantedNames {
 public:
  // `descriptors` must outlive it.
  GrantedNames(GrantedPlaces places, WorkingPlaces working_places,
               const WorkerDescriptors& descriptors)
      : places_(std::move(places)),
        working_places_(std::move(working_places)),
        descriptors_(descriptors) {}

  const WorkingPlaces& working_places() const { return working_places_; }

  // From now on this file is missing, unless it is granted: for what a program needs to know so.
  void SetMissing(std::string name) { missing_ = std::move(name); }
  // The errno of a name that no grant covers.
  int NotGranted(const std::string& name) const;

  // The name that was located last is only passed through.
  void OnlyLooked() { asked_.back().access = 0; }
  // What was asked for since the last time, for the journal.
  std::vector<NamedAccess> TakeAsked() { return std::exchange(asked_, {}); }

  PathRead Read(const Notification& call, const PathArgument& argument);
  // Where `name` may be looked for, and that it is for `access`.
  std::vector<Location> Locate(const std::string& name, unsigned access);
  // The name of a directory that the caller has a descriptor of. 0 or an errno.
  int NameOfDescriptor(pid_t thread, int descriptor, std::string& name);

  Object Find(const std::string& name, const LookRequest& request);
  // Also of an empty path.
  Object Find(const Notification& call, const PathArgument& argument, const LookRequest& request);
  // The directory in which `name` is to be made or removed, under a grant to create.
  Entry FindEntry(const std::string& name);

  // Opens a regular file or a directory under a grant of `access`.
  Object Open(const std::string& name, unsigned access, OpenHow how);
  // Opens anew what a caller's descriptor is of, if that came from a grant of `access`. EPERM: from
  // somewhere else, or the grant gives less.
  Object OpenHeld(pid_t thread, int descriptor, unsigned access);
  // The same, with the right to write anywhere in it, if the caller's descriptor has that right.
  // Where that cannot be told: if its grant gives it.
  Object OpenWritable(pid_t thread, int descriptor);

  // The worker is about to get a file or a directory that was opened by `name` in `place`.
  void Remember(const struct stat& object, std::string name, const GrantedPlace& place);
  // The shortest name that leads to `directory`, to which `name` leads: behind a symlink ".." is
  // not what the text says.
  std::string Settle(std::string name, const struct stat& directory) const;

 private:
  Object FindAmong(const std::vector<Location>& locations, const std::string& name,
                   const LookRequest& request) const;
  bool IsOnOwnMount(FdRef file, unsigned access) const;
  Object OpenGiven(const struct stat& held, unsigned access, uint64_t flags);
  bool LeadsTo(const std::string& name, const struct stat& directory) const;

  GrantedPlaces places_;
  const WorkingPlaces working_places_;
  const WorkerDescriptors& descriptors_;
  GivenNames directories_, files_;  // of files only what can be written or changed
  std::string missing_;
  std::vector<NamedAccess> asked_;
};

// The first of `locations` whose grant gives `access`, or null.
const Location* FirstWith(const std::vector<Location>& locations, unsigned access);

// Opens what is at `location`. ENOTCAPABLE if the way leaves the grant.
Opened Walk(const Location& location, OpenHow how);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_GRANTED_NAMES_H_
