// The file system that a worker sees: an empty, read-only root of its own, and
// for executed programs a read-only view of the loader and the system's
// libraries in it.
//
// The root is a new tmpfs mounted over "/", entered with pivot_root; the old
// root, with every mount of the host, is then detached from the worker's mount
// namespace. Needs nothing of the host's directories, not even an empty one.
//
// Lives in: the zygote (places), init (the rest).
#ifndef SANDBOX_LAYERS_ROOT_VIEW_H_
#define SANDBOX_LAYERS_ROOT_VIEW_H_

#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "sandbox/step_result.h"

namespace capbroker::sandbox {

// Something of the host that an executed program sees under the same path.
struct ProgramPlace {
  std::string path;
  std::string link_target;     // a symbolic link, shown as one
  UniqueFd directory_or_file;  // what it is, or what the link leads to
};

// The libraries and the loader's cache, as far as this host has them. Caller:
// the zygote.
std::vector<ProgramPlace> ProgramPlaces();

// The loaders themselves, which are executed together with a program. Caller:
// the zygote.
std::vector<UniqueFd> Loaders();

// Enters a new root that holds `places` (none: it is empty). The working
// directory is "/". Needs a mount namespace of its own, and CAP_SYS_ADMIN in
// it.
StepResult EnterRoot(const std::vector<ProgramPlace>& places);

}  // namespace capbroker::sandbox

#endif  // SANDBOX_LAYERS_ROOT_VIEW_H_
