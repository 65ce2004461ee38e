#include "services/file/host_error.h"

#include <cerrno>

#include "authority/denial.h"
#include "capbroker/v1/authority.pb.h"
#include "serving/succession.h"

namespace capbroker::file {

absl::Status RefuseObject(absl::string_view field) {
  return authority::ToStatus(
      authority::MakeRefusal(::capbroker::v1::Denial::OBJECT_REFUSED, field, /*method=*/""));
}

absl::Status HostError(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:  // the way ends at something that is not a directory
    case ENODEV:   // a device file without its device
      return absl::NotFoundError("not found");
    case EACCES:
      if (serving::FilesWereReplaced()) return absl::UnavailableError("replaced meanwhile");
      [[fallthrough]];
    case EXDEV:  // leaves the granted directory
    case ELOOP:  // a symlink where none is followed, or too many
    case EPERM:
    case EROFS:
      return RefuseObject("paths");
    case ENAMETOOLONG:
      return absl::InvalidArgumentError("name too long");
    case EEXIST:
      return absl::AlreadyExistsError("exists");
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOSPC:
    case EDQUOT:
    case EOVERFLOW:
      return absl::ResourceExhaustedError("host out of resources");
    case ENOSYS:
      return absl::FailedPreconditionError("kernel without openat2");
    default:
      // EAGAIN of a lease or a storm of renames, ENXIO of a FIFO without a reader,
      // EIO, ESTALE: the same call may go well later.
      return absl::UnavailableError("not available now");
  }
}

}  // namespace capbroker::file
