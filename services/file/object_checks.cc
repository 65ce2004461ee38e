#include "services/file/object_checks.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "services/file/host_error.h"

namespace capbroker::file {
namespace {

// File systems whose files are the kernel's or its drivers' controls, or tell
// about processes. Those that have no name in linux/magic.h are written out.
constexpr uint32_t kKernelFileSystems[] = {
    PROC_SUPER_MAGIC,  SYSFS_MAGIC,          DEBUGFS_MAGIC,       TRACEFS_MAGIC,
    SECURITYFS_MAGIC,  SELINUX_MAGIC,        SMACK_MAGIC,         AAFS_MAGIC,
    BPF_FS_MAGIC,      CGROUP_SUPER_MAGIC,   CGROUP2_SUPER_MAGIC, RDTGROUP_SUPER_MAGIC,
    PSTOREFS_MAGIC,    EFIVARFS_MAGIC,       BINFMTFS_MAGIC,      BINDERFS_SUPER_MAGIC,
    XENFS_SUPER_MAGIC, OPENPROM_SUPER_MAGIC, NSFS_MAGIC,          ANON_INODE_FS_MAGIC,
    0x62656570,  // configfs
    0x65735543,  // fusectl
    0x67596969,  // rpc_pipefs
    0x6e667364,  // nfsd
    0x50494446,  // pidfs
};

bool MadeUpByKernel(uint32_t type) {
  return std::find(std::begin(kKernelFileSystems), std::end(kKernelFileSystems), type) !=
         std::end(kKernelFileSystems);
}

bool Reads(v1::Access access) {
  return access == v1::ACCESS_READ || access == v1::ACCESS_READ_WRITE;
}

}  // namespace

v1::FileKind KindOf(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return v1::FILE_KIND_REGULAR;
    case S_IFDIR:
      return v1::FILE_KIND_DIRECTORY;
    case S_IFLNK:
      return v1::FILE_KIND_SYMLINK;
    case S_IFIFO:
      return v1::FILE_KIND_FIFO;
    case S_IFSOCK:
      return v1::FILE_KIND_SOCKET;
    case S_IFCHR:
      return v1::FILE_KIND_CHARACTER_DEVICE;
    case S_IFBLK:
      return v1::FILE_KIND_BLOCK_DEVICE;
    default:
      return v1::FILE_KIND_UNSPECIFIED;
  }
}

absl::StatusOr<struct stat> Look(const authority::Limits& limits, FdRef object, Effect effect) {
  struct stat status = {};
  if (fstat(object.get(), &status) != 0) return HostError(errno);
  // On a device, so no kernel has made it up.
  if (major(status.st_dev) != 0) return status;
  struct statfs file_system = {};
  if (fstatfs(object.get(), &file_system) != 0) return HostError(errno);
  if (MadeUpByKernel(static_cast<uint32_t>(file_system.f_type))) {
    const uint64_t needed = effect == Effect::kChange ? kMayReadKernelFiles | kMayWriteKernelFiles
                                                      : kMayReadKernelFiles;
    if (!limits.HasFlags("kernel_file_systems", needed)) {
      return RefuseObject("kernel_file_systems");
    }
  }
  return status;
}

absl::Status CheckOpening(const authority::Limits& limits, const struct stat& object,
                          v1::Access access) {
  const v1::FileKind kind = KindOf(object.st_mode);
  const bool can_be_opened = kind == v1::FILE_KIND_REGULAR || kind == v1::FILE_KIND_FIFO ||
                             kind == v1::FILE_KIND_CHARACTER_DEVICE;
  if (!can_be_opened || !limits.SetContains("kinds", kind)) return RefuseObject("kinds");
  if (kind != v1::FILE_KIND_REGULAR) return absl::OkStatus();
  if (Reads(access) && !limits.WithinMaximum("max_size", static_cast<uint64_t>(object.st_size))) {
    return RefuseObject("max_size");
  }
  if (access != v1::ACCESS_READ && (object.st_mode & (S_ISUID | S_ISGID)) != 0) {
    return RefuseObject("kinds");
  }
  return absl::OkStatus();
}

absl::Status CheckNoFileCapabilities(FdRef file) {
  if (fgetxattr(file.get(), "security.capability", nullptr, 0) < 0 &&
      (errno == ENODATA || errno == EOPNOTSUPP)) {
    return absl::OkStatus();
  }
  return RefuseObject("kinds");
}

}  // namespace capbroker::file
