#include "sandbox/layers/clone_confined.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <optional>
#include <utility>

#include "base/errno_status.h"
#include "base/status_macros.h"
#include "base/thread_count.h"
#include "base/unique_fd.h"
#include "sandbox/layers/shared_surroundings.h"

#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif

namespace capbroker::sandbox {

absl::Status CheckSingleThreaded() {
  CB_ASSIGN_OR_RETURN(const bool single, IsSingleThreaded());
  if (single) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "start worker: the process has more than one thread, and a fork copies "
      "only one");
}

absl::StatusOr<Cloned> CloneConfined(Confinement confinement,
                                     absl::FunctionRef<void(const Confinement&)> child) {
  UniqueFd read_end, write_end;
  if (MapsFromOutside(confinement)) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoToStatus(errno, "start worker: pipe");
    read_end.Reset(ends[0]);
    write_end.Reset(ends[1]);
    confinement.maps_written = read_end;
  }
  const SharedSurroundings* const surroundings = confinement.surroundings;
  if (surroundings != nullptr) CB_RETURN_IF_ERROR(surroundings->Enter());
  // The handlers are the application's, and would run in the init.
  absl::StatusOr<Cloned> cloned = CloneProcess(
      {.flags = NamespaceFlags(confinement) | CLONE_CLEAR_SIGHAND, .cgroup = confinement.cgroup});
  if (surroundings != nullptr && (!cloned.ok() || cloned->pid != 0)) surroundings->Leave();
  if (!cloned.ok()) return cloned;
  if (cloned->pid == 0) {
    write_end.Reset();  // or the end of the zygote would not be an end of file
    child(confinement);
    _exit(1);
  }
  if (!MapsFromOutside(confinement)) return cloned;
  absl::Status mapped = MapIdsFromOutside(
      cloned->pid, *confinement.assigned,
      confinement.supervised ? std::optional<Ids>(confinement.own_ids) : std::nullopt);
  if (mapped.ok() && write(write_end.get(), "m", 1) != 1) {
    mapped = ErrnoToStatus(errno, "start worker: tell that ids are mapped");
  }
  if (!mapped.ok()) {  // INVARIANT(fail-closed)
    CB_RETURN_IF_ERROR(cloned->process.Signal(SIGKILL));
    CB_RETURN_IF_ERROR(cloned->process.Wait().status());
    return mapped;
  }
  return cloned;
}

}  // namespace capbroker::sandbox
