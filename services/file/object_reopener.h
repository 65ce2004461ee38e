// From an O_PATH descriptor to the object's contents and name.
//
// An O_PATH descriptor holds an object without having opened it, which is what
// lets it be looked at first. Opening its path again would be a race; the entry
// of that descriptor in /proc/self/fd leads to the very same object. So procfs is
// needed, but only as the one directory that is opened here, once: a service
// process may be confined to a root without procfs afterwards.
//
// Lives in: the service process that made it, and no child of it. Thread-safe.
#ifndef SERVICES_FILE_OBJECT_REOPENER_H_
#define SERVICES_FILE_OBJECT_REOPENER_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace capbroker::file {

class ObjectReopener {
 public:
  // Opens /proc/self/fd. Without it every Reopen() is FAILED_PRECONDITION.
  ObjectReopener();

  // Opens the object that `object` holds, with `flags` of open(2), close-on-exec.
  // Never waits for a FIFO's other end, a terminal's carrier or a lease; the
  // descriptor itself is a blocking one.
  absl::StatusOr<UniqueFd> Reopen(FdRef object, int flags) const;

  // The object's path as the kernel knows it now, in this process's root: a hint
  // that may be out of date, or end in " (deleted)".
  absl::StatusOr<std::string> PathHint(FdRef object) const;

 private:
  UniqueFd own_descriptors_;
};

}  // namespace capbroker::file

#endif  // SERVICES_FILE_OBJECT_REOPENER_H_
