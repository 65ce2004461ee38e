// An empty root and a network without an interface that is up, made once for all forked workers.
//
// To make them is most of the time that a start takes, and to enter an empty root takes longer the
// more processes the machine has. So where the zygote has root's right, it makes both once, and is
// in them while it clones an init. Each worker has a mount namespace of its own still: a copy,
// which holds that root alone. The network namespace is one that only workers are in.
//
// What workers have in common by that is names of abstract sockets, and one empty, read-only
// directory. So it is done only where Landlock keeps them from each other's abstract sockets; that
// is beside the table, which lets no forked worker make a socket or open a directory.
//
// Lives in: the zygote. Not thread-safe, and the process must have one thread.
#ifndef SANDBOX_LAYERS_SHARED_SURROUNDINGS_H_
#define SANDBOX_LAYERS_SHARED_SURROUNDINGS_H_

#include <sys/types.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "sandbox/step_result.h"

namespace capbroker::sandbox {

class SharedSurroundings {
 public:
  // FAILED_PRECONDITION: this process may not, or its root is not its mount namespace's.
  static absl::StatusOr<SharedSurroundings> Make();

  // This process is in them from here to Leave(): neither its files nor its network are there.
  absl::Status Enter() const;
  // Does not return without its own root, directory and network.
  void Leave() const;

  // In a child that was cloned meanwhile: whether its root is the empty one.
  // INVARIANT(fail-closed)
  StepResult CheckInside() const;

 private:
  SharedSurroundings() = default;
  absl::Status Try() const;
  struct Namespaces {
    UniqueFd mounts, network;
  };
  Namespaces own_, shared_;
  UniqueFd own_root_, own_directory_;
  dev_t root_device_ = 0;
  ino_t root_number_ = 0;
};

}  // namespace capbroker::sandbox

#endif  // SANDBOX_LAYERS_SHARED_SURROUNDINGS_H_
