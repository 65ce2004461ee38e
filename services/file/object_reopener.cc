#include "services/file/object_reopener.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/file/host_error.h"

namespace capbroker::file {
namespace {

absl::Status WithoutProcfs() { return absl::FailedPreconditionError("service without procfs"); }

}  // namespace

ObjectReopener::ObjectReopener() {
  UniqueFd directory(open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC));
  struct statfs file_system = {};
  // Something else mounted there would choose what is opened.
  if (directory.valid() && fstatfs(directory.get(), &file_system) == 0 &&
      file_system.f_type == PROC_SUPER_MAGIC) {
    own_descriptors_ = std::move(directory);
  }
}

absl::StatusOr<UniqueFd> ObjectReopener::Reopen(FdRef object, int flags) const {
  if (!own_descriptors_.valid()) return WithoutProcfs();
  UniqueFd fd(openat(own_descriptors_.get(), absl::StrCat(object.get()).c_str(),
                     flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd.valid()) return HostError(errno);
  // Of what open(2) sets, F_SETFL changes O_APPEND and O_NONBLOCK alone.
  if (fcntl(fd.get(), F_SETFL, flags & O_APPEND) != 0) return HostError(errno);
  return fd;
}

absl::StatusOr<std::string> ObjectReopener::PathHint(FdRef object) const {
  if (!own_descriptors_.valid()) return WithoutProcfs();
  char path[PATH_MAX];
  const ssize_t size =
      readlinkat(own_descriptors_.get(), absl::StrCat(object.get()).c_str(), path, sizeof path);
  if (size < 0) return HostError(errno);
  return std::string(path, static_cast<size_t>(size));
}

}  // namespace capbroker::file
