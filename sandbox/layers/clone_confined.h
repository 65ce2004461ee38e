// The child that a worker's init, or a probe of the host, starts its life in.
//
// Lives in: the zygote.
#ifndef SANDBOX_LAYERS_CLONE_CONFINED_H_
#define SANDBOX_LAYERS_CLONE_CONFINED_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/pid_fd.h"
#include "sandbox/layers/confinement.h"

namespace capbroker::sandbox {

// OK if the process has one thread: the copy of a process with more is missing
// the others.
absl::Status CheckSingleThreaded();

// Clones a child into the namespaces of `confinement` and calls `child` there,
// which must not return. Where ids are mapped from outside, writes the maps and
// tells the child, and does not wait for it. The child's exit signal is 0. A
// child whose maps cannot be written is killed and reaped.
absl::StatusOr<Cloned> CloneConfined(Confinement confinement,
                                     absl::FunctionRef<void(const Confinement&)> child);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_LAYERS_CLONE_CONFINED_H_
