// What only the object can tell, checked on the descriptor that holds it.
// INVARIANT(object-checked-after-look)
//
// Lives in: the service process. Thread-safe: functions without state.
#ifndef SERVICES_FILE_OBJECT_CHECKS_H_
#define SERVICES_FILE_OBJECT_CHECKS_H_

#include <sys/stat.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "authority/limits.h"
#include "base/unique_fd.h"
#include "capbroker/file/v1/file_opener.pb.h"

namespace capbroker::file {

inline constexpr uint64_t kMayReadKernelFiles = 1;  // bits of kernel_file_systems
inline constexpr uint64_t kMayWriteKernelFiles = 2;

v1::FileKind KindOf(mode_t mode);

// Whether something is changed by what is about to be done.
enum class Effect { kLook, kChange };

// fstat(2) of an object whose file system the limits allow. Objects that the
// kernel makes up (procfs, sysfs, cgroups, ...) need `kernel_file_systems`.
absl::StatusOr<struct stat> Look(const authority::Limits& limits, FdRef object, Effect effect);

// Whether the limits allow to open such an object: `kinds` and `max_size`. Never
// sockets, block devices and directories; never a set-id file for writing, since
// a shared mapping changes it without the kernel taking that bit away.
absl::Status CheckOpening(const authority::Limits& limits, const struct stat& object,
                          v1::Access access);

// The same rule for file capabilities, which can only be asked of an open file.
absl::Status CheckNoFileCapabilities(FdRef file);

}  // namespace capbroker::file

#endif  // SERVICES_FILE_OBJECT_CHECKS_H_
