// fcntl(F_SETFL) on a descriptor that others may hold as well.
//
// The flags of an open file are shared with whoever else has it open, and O_APPEND is a right, so
// they stay. Programs set and clear O_NONBLOCK all the time, and put back what they have found:
// they are told that it is so. Whoever asks for anything else is refused.
//
// Where the flags are not seen, a program is told so where O_APPEND means nothing: of everything
// but regular files that are open for writing.
//
// Lives in: the supervisor.
#ifndef SANDBOX_SUPERVISOR_SHARED_FLAGS_H_
#define SANDBOX_SUPERVISOR_SHARED_FLAGS_H_

#include <cstdint>

#include "base/unique_fd.h"
#include "sandbox/supervisor/notification.h"
#include "sandbox/supervisor/worker_descriptors.h"

namespace capbroker::sandbox {

// Whether `wanted` differs from the flags of `file` in O_NONBLOCK at most.
bool KeepsSharedFlags(FdRef file, uint64_t wanted);

Answer SetSharedFlags(const WorkerDescriptors& descriptors, const Notification& call);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_SUPERVISOR_SHARED_FLAGS_H_
