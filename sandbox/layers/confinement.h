// The layers that init and worker share, entered once, by the init, before it
// forks the worker.
//
// Lives in: the child of the zygote, single-threaded, between clone and fork.
#ifndef SANDBOX_LAYERS_CONFINEMENT_H_
#define SANDBOX_LAYERS_CONFINEMENT_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "base/unique_fd.h"
#include "sandbox/layers/identity.h"
#include "sandbox/layers/layers.h"
#include "sandbox/layers/root_view.h"
#include "sandbox/layers/shared_surroundings.h"
#include "sandbox/step_result.h"

namespace capbroker::sandbox {

// What a worker is told that its host is called.
inline constexpr char kHostName[] = "worker";

struct Confinement {
  LayerSet layers;
  Ids own_ids;                  // of the zygote, as it sees them
  std::optional<Ids> assigned;  // with Layer::kUnprivilegedUid
  FdRef starter;                // pidfd of the zygote
  FdRef maps_written;           // end of file or a byte when the zygote wrote the maps
  FdRef ruleset;                // with Layer::kLandlock
  const std::vector<ProgramPlace>* places = nullptr;  // executed workers only
  bool supervised = false;                            // a supervisor opens files as `own_ids`
  const SharedSurroundings* surroundings = nullptr;   // that it is cloned in, if not its own
  FdRef cgroup;                                       // that it begins in, if not the zygote's
};

// CLONE_NEW* of what is made for this worker.
uint64_t NamespaceFlags(const Confinement& confinement);

// True if the zygote maps the child's ids, so that the child waits for it.
inline bool MapsFromOutside(const Confinement& confinement) {
  return confinement.layers.Has(Layer::kUserNamespace) && confinement.assigned.has_value();
}

// Enters every layer but the system call table and the resource bounds. The same as both steps
// below.
StepResult EnterLayers(const Confinement& confinement);

// Namespaces, root and Landlock: what a supervisor shares with its worker. Capabilities are left.
StepResult EnterSurroundings(const Confinement& confinement);
// Ids and capabilities go.
StepResult LeaveRights(const Confinement& confinement);
// The same for a supervisor, a child of the process that entered the surroundings: to
// other processes it is the worker's user, and to files the zygote's. `starter` is not watched.
StepResult LeaveSupervisorsRights(const Confinement& confinement);

// Dies with the parent: asks for SIGKILL at its death, and looks whether it
// lives still.
StepResult DieWithStarter(FdRef starter);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_LAYERS_CONFINEMENT_H_
