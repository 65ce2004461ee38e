#include "sandbox/supervisor/mount_id.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace capbroker::sandbox {
namespace {

constexpr unsigned kMountId = 0x1000;  // STATX_MNT_ID, of Linux 5.8

}  // namespace

uint64_t MountId(FdRef file) {
  struct statx status = {};
  if (syscall(SYS_statx, file.get(), "", AT_EMPTY_PATH, kMountId, &status) != 0) return 0;
  return (status.stx_mask & kMountId) != 0 ? status.stx_mnt_id : 0;
}

}  // namespace capbroker::sandbox
