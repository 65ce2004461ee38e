#include "base/thread_count.h"

#include <dirent.h>
#include <sched.h>

#include <cerrno>

#include "absl/status/status.h"

namespace capbroker {

absl::StatusOr<bool> IsSingleThreaded() {
  // Only a process with a single thread may unshare its thread group, and then
  // nothing happens. Needs no /proc.
  if (unshare(CLONE_THREAD) == 0) return true;
  if (errno == EINVAL) return false;
  // A container's filter may forbid unshare().
  DIR* const tasks = opendir("/proc/self/task");
  if (tasks == nullptr) {
    return absl::FailedPreconditionError(
        "cannot see whether this process has threads: unshare is forbidden and /proc is not "
        "mounted");
  }
  int threads = 0;
  while (const dirent* entry = readdir(tasks)) threads += entry->d_name[0] != '.';
  closedir(tasks);
  return threads == 1;
}

}  // namespace capbroker
