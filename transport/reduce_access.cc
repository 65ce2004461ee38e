#include "transport/reduce_access.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"

namespace capbroker::transport {
namespace {

absl::Status CannotReopen(absl::string_view why) {
  return absl::FailedPreconditionError(absl::StrCat(
      "descriptor with more access than declared: cannot be reopened with less: ", why));
}

// Whether reopening with `wanted` takes something away, and adds nothing.
bool IsLess(int flags, int wanted, bool append_only) {
  if ((flags & O_PATH) != 0) return false;
  const int access = flags & O_ACCMODE;
  if (access == O_RDWR) return true;
  return access == wanted && append_only && (flags & O_APPEND) == 0;
}

}  // namespace

absl::StatusOr<UniqueFd> ReduceAccess(FdRef fd, const v1::DescriptorRights& rights) {
  const int flags = fcntl(fd.get(), F_GETFL);
  const int wanted = rights.access() == v1::DescriptorRights::READ ? O_RDONLY : O_WRONLY;
  struct stat original;
  if (flags < 0 || !IsLess(flags, wanted, rights.append_only())) return UniqueFd();
  // To open anything else may wait, or do something.
  if (fstat(fd.get(), &original) != 0 || !S_ISREG(original.st_mode)) return UniqueFd();

  const std::string path = absl::StrCat("/proc/self/fd/", fd.get());
  UniqueFd reduced(open(path.c_str(), wanted | O_CLOEXEC | (flags & O_NONBLOCK) |
                                          (rights.append_only() ? O_APPEND : 0)));
  if (!reduced.valid()) {
    return CannotReopen(errno == ENOENT || errno == ENOTDIR ? "/proc is not visible"
                                                            : "the file does not permit it");
  }
  // Whatever is mounted on /proc, it is the same object.
  struct stat reopened;
  if (fstat(reduced.get(), &reopened) != 0 || reopened.st_dev != original.st_dev ||
      reopened.st_ino != original.st_ino) {
    return CannotReopen("/proc leads elsewhere");
  }
  const off_t position = lseek(fd.get(), 0, SEEK_CUR);
  if (position > 0) lseek(reduced.get(), position, SEEK_SET);
  return reduced;
}

}  // namespace capbroker::transport
