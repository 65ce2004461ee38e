// Which mount an open file is on.
//
// Lives in: the init, the supervisor.
#ifndef SANDBOX_SUPERVISOR_MOUNT_ID_H_
#define SANDBOX_SUPERVISOR_MOUNT_ID_H_

#include <cstdint>

#include "base/unique_fd.h"

namespace capbroker::sandbox {

// The kernel's id of it, by which no two mounts go at once; 0: not known.
uint64_t MountId(FdRef file);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_MOUNT_ID_H_
